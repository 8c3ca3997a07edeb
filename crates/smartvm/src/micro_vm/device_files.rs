//! The files behind the devices of a started VM.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio::task::JoinHandle;

use super::files::{self, Content};
use crate::config::{DriveConfig, DriveSpec, VmSpec};
use crate::home::WorkDir;
use crate::smart_vm_error::SmartVmError;

/// What a device with a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DeviceKind {
    Drive,
    Pmem,
}

/// Which name in the work directory belongs to which device. A device keeps its name when it is
/// given another content, so that a snapshot finds every content by the name it was started with.
#[derive(Debug)]
pub(super) struct DeviceFiles {
    work_dir: WorkDir,
    names: BTreeMap<(DeviceKind, String), PathBuf>,
    /// A copy that cannot be interrupted, when its awaiting was.
    copying: Option<JoinHandle<Result<(), SmartVmError>>>,
}

/// A content in the place of another one, until it is known whether Firecracker took it.
#[derive(Debug)]
#[must_use = "one of the two contents must go"]
pub(super) struct Swap {
    name: PathBuf,
    former: PathBuf,
}

impl Swap {
    /// What Firecracker is told.
    pub(super) fn name(&self) -> &Path {
        &self.name
    }
}

impl DeviceFiles {
    /// The files of a VM that was started from `spec`.
    pub(super) fn of(spec: &VmSpec, work_dir: WorkDir) -> Self {
        let drives = spec.drives.iter().map(|drive| {
            ((DeviceKind::Drive, drive.config().drive_id.clone()), files::drive_name(drive))
        });
        let pmem = spec.config().pmem.iter();
        let pmem = pmem.map(|it| ((DeviceKind::Pmem, it.id.clone()), files::pmem_name(&it.id)));
        let names = drives.chain(pmem).collect();
        Self { work_dir, names, copying: None }
    }

    /// Puts a content in the place of the device's. [`conclude`](Self::conclude) ends it.
    pub(super) async fn swap(
        &mut self,
        kind: DeviceKind,
        id: &str,
        content: Content,
    ) -> Result<Swap, SmartVmError> {
        let name = match self.names.get(&(kind, id.to_owned())) {
            Some(name) => name.clone(),
            None => return Err(SmartVmError::NoSuchDevice { id: id.to_owned() }),
        };
        let (new, former) = (suffixed(&name, ".new"), suffixed(&name, ".former"));
        self.put(content, new.clone()).await?;
        let replace = |from: &Path, to: &Path| {
            self.work_dir.replace(from, to).map_err(|source| self.unusable(to, source))
        };
        replace(&name, &former)?;
        if let Err(error) = replace(&new, &name) {
            replace(&former, &name)?;
            return Err(error);
        }
        Ok(Swap { name, former })
    }

    /// Keeps the new content when Firecracker took it, and the former one when it did not.
    pub(super) fn conclude(
        &self,
        swap: Swap,
        taken: Result<(), SmartVmError>,
    ) -> Result<(), SmartVmError> {
        let settled = match &taken {
            Ok(()) => self.work_dir.withdraw(&swap.former),
            Err(_) => self.work_dir.replace(&swap.former, &swap.name),
        };
        taken?;
        settled.map_err(|source| self.unusable(&swap.former, source))
    }

    /// Gives a new device its content, and returns what Firecracker is told.
    pub(super) async fn add(
        &mut self,
        kind: DeviceKind,
        id: &str,
        content: Content,
    ) -> Result<PathBuf, SmartVmError> {
        let key = (kind, id.to_owned());
        if self.names.contains_key(&key) {
            return Err(SmartVmError::DeviceExists { id: id.to_owned() });
        }
        let name = match kind {
            DeviceKind::Drive => files::drive_name(&DriveSpec {
                config: DriveConfig {
                    drive_id: id.to_owned(),
                    path_on_host: content.source.clone(),
                    ..DriveConfig::default()
                },
            }),
            DeviceKind::Pmem => files::pmem_name(id),
        };
        if let Some(dir) = name.parent().and_then(Path::to_str) {
            self.work_dir.make_dir(dir).map_err(|source| self.unusable(&name, source))?;
        }
        self.put(content, name.clone()).await?;
        self.names.insert(key, name.clone());
        Ok(name)
    }

    /// Forgets the content of a new device that Firecracker did not take.
    pub(super) fn keep_if(
        &mut self,
        kind: DeviceKind,
        id: &str,
        taken: Result<(), SmartVmError>,
    ) -> Result<(), SmartVmError> {
        if taken.is_err() {
            // The refusal is what the caller has to hear of.
            let _ = self.remove(kind, id);
        }
        taken
    }

    /// Removes the content of a device that is no more. The host's own file stays.
    pub(super) fn remove(&mut self, kind: DeviceKind, id: &str) -> Result<(), SmartVmError> {
        match self.names.remove(&(kind, id.to_owned())) {
            Some(name) => {
                self.work_dir.withdraw(&name).map_err(|source| self.unusable(&name, source))
            }
            None => Ok(()),
        }
    }

    /// Waits until nothing writes to the work directory any more.
    pub(super) async fn settled(&mut self) {
        if let Some(copying) = self.copying.take() {
            let _ = copying.await;
        }
    }

    async fn put(&mut self, content: Content, name: PathBuf) -> Result<(), SmartVmError> {
        let work_dir = self.work_dir.clone();
        let copying = tokio::task::spawn_blocking(move || content.put(&work_dir, &name));
        let done = self.copying.insert(copying).await;
        self.copying = None;
        done.map_err(|panic| SmartVmError::Bug { what: panic.to_string() })?
    }

    fn unusable(&self, name: &Path, source: std::io::Error) -> SmartVmError {
        SmartVmError::Adopt { path: self.work_dir.host_path(name), source }
    }
}

fn suffixed(name: &Path, suffix: &str) -> PathBuf {
    let mut name = name.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::VmConfig;

    /// A work directory with one drive, and the files behind it.
    fn with_one_drive(dir: &Path) -> DeviceFiles {
        let config = VmConfig::from_json(
            r#"{"bootSource":{"kernelImagePath":"/k"},
                "drives":[{"driveId":"data","pathOnHost":"/disk"}]}"#,
        );
        let spec = config.unwrap().validate().unwrap();
        fs_err::create_dir(dir.join("drives")).unwrap();
        fs_err::write(dir.join("drives/data-disk"), "former").unwrap();
        fs_err::write(dir.join("new"), "new").unwrap();
        DeviceFiles::of(&spec, WorkDir::plain(dir.to_owned()))
    }

    fn copy_of(path: PathBuf) -> Content {
        let drive = DriveConfig { path_on_host: path, ..DriveConfig::default() };
        Content::of_drive(&drive, true)
    }

    async fn swapped(dir: &Path, answer: Result<(), SmartVmError>) -> Result<(), SmartVmError> {
        let mut files = with_one_drive(dir);
        let swap = files.swap(DeviceKind::Drive, "data", copy_of(dir.join("new"))).await.unwrap();
        assert_eq!(swap.name(), Path::new("drives/data-disk"));
        files.conclude(swap, answer)
    }

    fn drives(dir: &Path) -> Vec<(String, String)> {
        let entries = fs_err::read_dir(dir.join("drives")).unwrap().map(Result::unwrap);
        let read = |entry: fs_err::DirEntry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs_err::read_to_string(entry.path()).unwrap())
        };
        entries.map(read).collect()
    }

    #[tokio::test]
    async fn a_content_that_was_taken_stays_alone() {
        let dir = tempfile::tempdir().unwrap();
        swapped(dir.path(), Ok(())).await.unwrap();
        assert_eq!(drives(dir.path()), [("data-disk".into(), "new".into())]);
    }

    #[tokio::test]
    async fn a_content_that_was_refused_gives_way_to_the_former() {
        let dir = tempfile::tempdir().unwrap();
        let refused = Err(SmartVmError::NoClient { call: "test" });
        assert_eq!(swapped(dir.path(), refused).await.unwrap_err().code(), "NO_CLIENT");
        assert_eq!(drives(dir.path()), [("data-disk".into(), "former".into())]);
    }

    #[tokio::test]
    async fn a_content_that_cannot_be_copied_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = with_one_drive(dir.path());
        let missing = copy_of(dir.path().join("missing"));
        let failed = files.swap(DeviceKind::Drive, "data", missing).await.unwrap_err();
        assert_eq!(failed.code(), "DRIVE_STAGING_FAILED");
        let missing = copy_of(dir.path().join("missing"));
        files.add(DeviceKind::Drive, "more", missing).await.unwrap_err();
        assert_eq!(drives(dir.path()), [("data-disk".into(), "former".into())]);
    }

    #[tokio::test]
    async fn a_plugged_device_has_its_content_until_it_is_unplugged_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = with_one_drive(dir.path());
        let new = || copy_of(dir.path().join("new"));
        let name = files.add(DeviceKind::Drive, "more", new()).await.unwrap();
        assert_eq!(name, Path::new("drives/more-new"));
        let twice = files.add(DeviceKind::Drive, "more", new()).await.unwrap_err();
        assert_eq!(twice.code(), "DEVICE_EXISTS");
        files.keep_if(DeviceKind::Drive, "more", Ok(())).unwrap();
        assert_eq!(drives(dir.path()).len(), 2);
        files.remove(DeviceKind::Drive, "more").unwrap();
        assert_eq!(drives(dir.path()).len(), 1);

        files.add(DeviceKind::Drive, "more", new()).await.unwrap();
        let refused = Err(SmartVmError::NoClient { call: "test" });
        files.keep_if(DeviceKind::Drive, "more", refused).unwrap_err();
        assert_eq!(drives(dir.path()).len(), 1);
    }
}
