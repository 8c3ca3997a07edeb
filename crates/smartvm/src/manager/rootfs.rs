//! Root file systems that a manager keeps.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use smartvm_images::base_image::ArtifactFileName;
use smartvm_images::{HostTools, StagedDrive, clone_rootfs, create_blank_rootfs};

use super::smart_vm::SmartVm;
use crate::smart_vm_error::SmartVmError;

impl SmartVm {
    /// Makes an empty ext4 file system of `size_mib` MiB at `<dataDir>/rootfs/NAME`, which must not
    /// exist; see [`create_blank_rootfs`]. Returns its path.
    ///
    /// Dropping the future does not interrupt it.
    ///
    /// # Errors
    /// `ROOTFS_CREATE_FAILED`; nothing is left then.
    pub async fn create_blank_rootfs(
        &self,
        name: &ArtifactFileName,
        size_mib: u64,
    ) -> Result<PathBuf, SmartVmError> {
        let (path, tools) = (self.new_rootfs(name)?, self.host_tools());
        blocking(move || Ok(create_blank_rootfs(&path, size_mib, &tools)?)).await
    }

    /// Copies the image `source` to `<dataDir>/rootfs/NAME`, which must not exist, sharing its blocks
    /// where the file system can do that; see [`clone_rootfs`]. Returns its path and how it was made.
    ///
    /// Dropping the future does not interrupt it.
    ///
    /// # Errors
    /// `ROOTFS_CLONE_FAILED`; nothing is left then.
    pub async fn clone_rootfs(
        &self,
        source: &Path,
        name: &ArtifactFileName,
    ) -> Result<(PathBuf, StagedDrive), SmartVmError> {
        let (path, source) = (self.new_rootfs(name)?, source.to_owned());
        blocking(move || {
            let how = clone_rootfs(&source, &path)?;
            Ok((path, how))
        })
        .await
    }

    /// Where a root file system of that name is to be; its directory is made for its owner alone.
    fn new_rootfs(&self, name: &ArtifactFileName) -> Result<PathBuf, SmartVmError> {
        let dir = self.options().data_dir.join("rootfs");
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        match made {
            Ok(()) => Ok(dir.join(name.as_str())),
            Err(source) => Err(SmartVmError::RootfsDir { dir, source }),
        }
    }

    fn host_tools(&self) -> HostTools {
        let path_var = self.options().path_var.as_deref();
        path_var.map_or_else(HostTools::default, HostTools::on_path)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SmartVmError> + Send + 'static,
) -> Result<T, SmartVmError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|panic| SmartVmError::Bug { what: panic.to_string() })?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::SmartVmOptions;

    #[tokio::test]
    async fn a_root_is_created_and_cloned_by_name_and_no_name_is_taken_twice() {
        let dir = tempfile::tempdir().unwrap();
        let smartvm = SmartVm::new(SmartVmOptions {
            data_dir: dir.path().join("data"),
            runtime_dir: dir.path().join("run"),
            ..SmartVmOptions::default()
        })
        .unwrap();
        let name = |text: &str| text.parse::<ArtifactFileName>().unwrap();
        let path = smartvm.create_blank_rootfs(&name("a.ext4"), 32).await.unwrap();
        assert_eq!(path, dir.path().join("data/rootfs/a.ext4"));
        let (copy, how) = smartvm.clone_rootfs(&path, &name("b.ext4")).await.unwrap();
        assert_eq!(how.size, 32 << 20);
        assert!(fs_err::read(&copy).unwrap() == fs_err::read(&path).unwrap());
        let error = smartvm.create_blank_rootfs(&name("b.ext4"), 32).await.unwrap_err();
        assert_eq!(error.code(), "ROOTFS_CREATE_FAILED");
        let error = smartvm.clone_rootfs(&path, &name("a.ext4")).await.unwrap_err();
        assert_eq!(error.code(), "ROOTFS_CLONE_FAILED");
    }
}
