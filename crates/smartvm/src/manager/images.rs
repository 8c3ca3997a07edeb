//! What VMs need and a manager can fetch: Firecracker itself, base images.

use std::path::PathBuf;

use smartvm_firecracker::{FirecrackerBinary, OpenBinaryError};
use smartvm_images::base_image::{
    ArtifactFileName, BaseImage, BaseImageManager, BaseImageManagerOptions, EnsureBaseImage,
    ManifestLocation,
};
use smartvm_images::{Downloader, DownloaderOptions, Progress, ReleaseStore, download_into};

use super::smart_vm::SmartVm;
use crate::options::SmartVmOptions;
use crate::smart_vm_error::SmartVmError;

impl SmartVm {
    /// Makes sure that there is a Firecracker to run.
    ///
    /// `firecrackerBinaryPath` is used as it is. A version that was asked for is installed below
    /// `<dataDir>/firecracker` unless it is there. When nothing was asked for, what is installed or on
    /// the `PATH` is used, and only where there is nothing the latest release is installed.
    ///
    /// Dropping the future leaves what has come for the next call to go on with.
    ///
    /// # Errors
    /// `VERSION_FETCH_FAILED`, `DOWNLOAD_FAILED`, `UNSAFE_DIRECTORY`, and what is wrong with a program
    /// that is there.
    pub async fn ensure_binary(
        &self,
        progress: &dyn Progress,
    ) -> Result<FirecrackerBinary, SmartVmError> {
        let options = self.options();
        match options.find_binary() {
            Err(OpenBinaryError::NotFound { .. }) if options.firecracker_binary_path.is_none() => {}
            other => return Ok(other?),
        }
        let downloader = Downloader::new(DownloaderOptions::default());
        let source = &options.release_url;
        let version = match options.firecracker_version {
            Some(version) => version,
            None => ReleaseStore::latest(source, &downloader).await?,
        };
        let store = ReleaseStore::open(&options.releases_dir())?;
        let release = store.ensure(version, options.arch, source, &downloader, progress).await?;
        Ok(FirecrackerBinary::open(&release.firecracker)?)
    }

    /// Makes sure that a base image is in the cache, and right; see [`BaseImageManager::ensure`].
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), smartvm::SmartVmError> {
    /// use smartvm::images::base_image::EnsureBaseImage;
    /// use smartvm::{MachineConfig, SmartVm, SmartVmOptions, VmConfig};
    ///
    /// let smartvm = SmartVm::new(SmartVmOptions::default())?;
    /// smartvm.ensure_binary(&()).await?;
    /// let image = smartvm.ensure_base_image(&EnsureBaseImage::default(), &()).await?;
    /// let machine_config = MachineConfig::new(1, 256);
    /// let vm = smartvm.create_vm(&VmConfig { machine_config, ..VmConfig::booting(&image.bundle) })?;
    /// vm.start().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn ensure_base_image(
        &self,
        request: &EnsureBaseImage,
        progress: &dyn Progress,
    ) -> Result<BaseImage, SmartVmError> {
        Ok(self.base_images()?.ensure(request, progress).await?)
    }

    /// Downloads a kernel to `<dataDir>/downloads/kernels/NAME`, in place of what has that name.
    ///
    /// # Errors
    /// `DOWNLOAD_FAILED`; nothing of that name is touched then.
    pub async fn download_kernel(
        &self,
        url: &str,
        name: &ArtifactFileName,
        progress: &dyn Progress,
    ) -> Result<PathBuf, SmartVmError> {
        self.download_to("kernels", url, name, progress).await
    }

    /// Downloads a root file system to `<dataDir>/downloads/rootfs/NAME`, in place of what has that name.
    ///
    /// # Errors
    /// `DOWNLOAD_FAILED`; nothing of that name is touched then.
    pub async fn download_rootfs(
        &self,
        url: &str,
        name: &ArtifactFileName,
        progress: &dyn Progress,
    ) -> Result<PathBuf, SmartVmError> {
        self.download_to("rootfs", url, name, progress).await
    }

    async fn download_to(
        &self,
        kind: &str,
        url: &str,
        name: &ArtifactFileName,
        progress: &dyn Progress,
    ) -> Result<PathBuf, SmartVmError> {
        let dir = self.options().data_dir.join("downloads").join(kind);
        let downloader = Downloader::new(DownloaderOptions::default());
        Ok(download_into(&dir, url, name, None, &downloader, progress).await?)
    }

    /// What keeps this manager's base images.
    ///
    /// # Errors
    /// `UNSAFE_DIRECTORY` when others may write to the cache.
    pub fn base_images(&self) -> Result<BaseImageManager, SmartVmError> {
        let downloader = Downloader::new(DownloaderOptions::default());
        Ok(BaseImageManager::new(BaseImageManagerOptions::from(self.options()), downloader)?)
    }
}

impl From<&SmartVmOptions> for BaseImageManagerOptions {
    fn from(options: &SmartVmOptions) -> Self {
        let path = options.base_image_manifest_path.clone().map(ManifestLocation::Path);
        let url = options.base_image_manifest_url.clone().map(ManifestLocation::Url);
        Self {
            max_stored: options.max_stored_base_images,
            arch: options.arch,
            manifest: path.or(url),
            firecracker_version: options.firecracker_version,
            bucket: options.bucket_url.clone(),
            releases: options.release_url.clone(),
            allow_private_artifacts: options.allow_private_artifacts,
            verify_key: options.verify_key.clone(),
            ..Self::new(options.base_image_cache())
        }
    }
}
