//! The files behind the devices of a started VM.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use smartvm_dir::FileAt;
use smartvm_firecracker::api::FullVmConfiguration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::device_file::DeviceFile;
use super::files::{self, Content, ContentKind};
use super::handle::VmSetup;
use crate::config::{DriveConfig, DriveSpec};
use crate::disk::DiskUse;
use crate::home::WorkDir;
use crate::image_use::{ImageUse, ImagesInUse};
use crate::smart_vm_error::SmartVmError;
use crate::snapshot::{DriveKind, SavedDrive};

/// What each device of the VM has, as it was given: our own record, which no answer of Firecracker
/// changes. A device keeps its name in the work directory when it is given another content, so that
/// a snapshot finds every content by the name it was started with.
#[derive(Debug)]
pub(super) struct DeviceFiles {
    work_dir: WorkDir,
    devices: BTreeMap<(DriveKind, String), DeviceFile>,
    images: ImagesInUse,
    disk: DiskUse,
    /// A copy that cannot be interrupted, when its awaiting was.
    copying: Option<JoinHandle<Result<(), SmartVmError>>>,
}

/// A content in the place of another one, until it is known whether Firecracker took it.
#[derive(Debug)]
#[must_use = "one of the two contents must go"]
pub(super) struct Swap {
    key: (DriveKind, String),
    device: DeviceFile,
    former: PathBuf,
    image: Option<Arc<ImageUse>>,
}

impl Swap {
    /// What Firecracker is told.
    pub(super) fn name(&self) -> &Path {
        self.device.name()
    }
}

impl DeviceFiles {
    /// The files of a VM that was started, has `images`, and was promised room on the disk.
    pub(super) fn of(
        setup: &VmSetup,
        work_dir: WorkDir,
        images: ImagesInUse,
        disk: DiskUse,
    ) -> Self {
        let devices = match &setup.restore {
            Some(plan) => {
                plan.snapshot.manifest().drives.iter().map(DeviceFile::restored).collect()
            }
            None => {
                let (spec, stages) = (&setup.spec, setup.options.ephemeral_writable_drives);
                let drives = spec.drives.iter().map(|drive| {
                    let content = Content::of_drive(drive.config(), stages);
                    let key = (DriveKind::Block, drive.config().drive_id.clone());
                    (key, DeviceFile::of_drive(drive, content))
                });
                let pmem = spec.config().pmem.iter().map(|device| {
                    let content = Content::of_pmem(device, stages);
                    let key = (DriveKind::Pmem, device.id.clone());
                    let read_only = device.read_only == Some(true);
                    (key, DeviceFile::new(files::pmem_name(&device.id), read_only, content))
                });
                drives.chain(pmem).collect()
            }
        };
        Self { work_dir, devices, images, disk, copying: None }
    }

    /// What a snapshot says of each device but for its digest, with the file that its content is in. What
    /// Firecracker says of them is only compared.
    pub(super) fn save(
        &self,
        answered: &FullVmConfiguration,
    ) -> Result<Vec<(SavedDrive, FileAt)>, SmartVmError> {
        let told = answered.drives.len() + answered.pmem.len();
        let known = self.devices.iter().map(|((kind, id), device)| {
            let same = match kind {
                DriveKind::Block => answered.drives.iter().any(|drive| device.is_drive(id, drive)),
                DriveKind::Pmem => answered.pmem.iter().any(|pmem| device.is_pmem(id, pmem)),
            };
            device.save(*kind, id, &self.work_dir, same && told == self.devices.len())
        });
        known.collect()
    }

    /// Puts a content in the place of the device's. [`conclude`](Self::conclude) ends it.
    pub(super) async fn swap(
        &mut self,
        kind: DriveKind,
        id: &str,
        content: Content,
    ) -> Result<Swap, SmartVmError> {
        let key = (kind, id.to_owned());
        let device = match self.devices.get(&key) {
            Some(device) => device.with(content.clone()),
            None => return Err(SmartVmError::NoSuchDevice { id: id.to_owned() }),
        };
        let name = device.name().to_owned();
        let (new, former) = (suffixed(&name, ".new"), suffixed(&name, ".former"));
        let image = self.put(content, new.clone(), &name).await?;
        let replace = |from: &Path, to: &Path| {
            self.work_dir.replace(from, to).map_err(|source| self.unusable(to, source))
        };
        replace(&name, &former)?;
        if let Err(error) = replace(&new, &name) {
            replace(&former, &name)?;
            return Err(error);
        }
        Ok(Swap { key, device, former, image })
    }

    /// Keeps the new content when Firecracker took it, and the former one when it did not.
    pub(super) fn conclude(
        &mut self,
        swap: Swap,
        taken: Result<(), SmartVmError>,
    ) -> Result<(), SmartVmError> {
        let settled = match &taken {
            Ok(()) => self.work_dir.withdraw(&swap.former),
            // So that what was lent for it is given back, before somebody else may have it.
            Err(_) => self
                .work_dir
                .withdraw(swap.name())
                .and_then(|()| self.work_dir.replace(&swap.former, swap.name())),
        };
        if taken.is_ok() {
            self.images.put(swap.device.name(), swap.image);
        }
        taken?;
        self.devices.insert(swap.key, swap.device);
        settled.map_err(|source| self.unusable(&swap.former, source))
    }

    /// Gives a new device its content, and returns what Firecracker is told.
    pub(super) async fn add(
        &mut self,
        kind: DriveKind,
        id: &str,
        read_only: bool,
        content: Content,
    ) -> Result<PathBuf, SmartVmError> {
        let key = (kind, id.to_owned());
        if self.devices.contains_key(&key) {
            return Err(SmartVmError::DeviceExists { id: id.to_owned() });
        }
        let name = match kind {
            DriveKind::Block => files::drive_name(&DriveSpec {
                config: DriveConfig {
                    drive_id: id.to_owned(),
                    path_on_host: content.source.clone(),
                    ..DriveConfig::default()
                },
            }),
            DriveKind::Pmem => files::pmem_name(id),
        };
        if let Some(dir) = name.parent().and_then(Path::to_str) {
            self.work_dir.make_dir(dir).map_err(|source| self.unusable(&name, source))?;
        }
        let image = self.put(content.clone(), name.clone(), &name).await?;
        self.images.put(&name, image);
        self.devices.insert(key, DeviceFile::new(name.clone(), read_only, content));
        Ok(name)
    }

    /// Forgets the content of a new device that Firecracker did not take.
    pub(super) fn keep_if(
        &mut self,
        kind: DriveKind,
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
    pub(super) fn remove(&mut self, kind: DriveKind, id: &str) -> Result<(), SmartVmError> {
        match self.devices.remove(&(kind, id.to_owned())) {
            Some(device) => {
                let name = device.name();
                self.work_dir.withdraw(name).map_err(|source| self.unusable(name, source))?;
                self.images.put(name, None);
                Ok(())
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

    /// Puts a content at `name` for the device with the name `device`. Returns what keeps it as it is.
    async fn put(
        &mut self,
        content: Content,
        name: PathBuf,
        device: &Path,
    ) -> Result<Option<Arc<ImageUse>>, SmartVmError> {
        let (work_dir, images, disk, device) =
            (self.work_dir.clone(), self.images.clone(), self.disk.clone(), device.to_owned());
        let (keep, kept) = oneshot::channel();
        let copying = tokio::task::spawn_blocking(move || {
            let image = match content.kind {
                ContentKind::Shared(access) => {
                    Some(images.begin_again(&device, &content.source, access)?)
                }
                ContentKind::Copied | ContentKind::Served => None,
            };
            content.put(&work_dir, &name, &device, (&images, &disk))?;
            // Nobody is there any more when the VM is about to end.
            let _ = keep.send(image);
            Ok(())
        });
        let done = self.copying.insert(copying).await;
        self.copying = None;
        done.map_err(|panic| SmartVmError::Bug { what: panic.to_string() })??;
        Ok(kept.await.unwrap_or_default())
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
    use crate::disk::DiskLedger;
    use crate::jail::UidRange;
    use crate::options::SmartVmOptions;

    /// A work directory with one drive, and the files behind it.
    fn with_one_drive(dir: &Path) -> DeviceFiles {
        fs_err::create_dir(dir.join("drives")).unwrap();
        fs_err::write(dir.join("drives/data-disk"), "former").unwrap();
        fs_err::write(dir.join("new"), "new").unwrap();
        let device = DeviceFile::new("drives/data-disk".into(), false, copy_of("/disk".into()));
        let id = crate::VmId::try_from("vm".to_owned()).unwrap();
        DeviceFiles {
            work_dir: WorkDir::of_test(dir),
            devices: [((DriveKind::Block, "data".to_owned()), device)].into(),
            images: ImagesInUse::new(id, dir.join("cache"), UidRange::default()),
            disk: disk(dir),
            copying: None,
        }
    }

    fn disk(dir: &Path) -> DiskUse {
        let options = SmartVmOptions { data_dir: dir.join("data"), ..SmartVmOptions::default() };
        DiskUse::new(DiskLedger::from(&options), "VM vm".to_owned(), 0, Default::default())
    }

    fn copy_of(path: PathBuf) -> Content {
        let drive = DriveConfig { path_on_host: path, ..DriveConfig::default() };
        Content::of_drive(&drive, true)
    }

    async fn swapped(dir: &Path, answer: Result<(), SmartVmError>) -> Result<(), SmartVmError> {
        let mut files = with_one_drive(dir);
        let swap = files.swap(DriveKind::Block, "data", copy_of(dir.join("new"))).await.unwrap();
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
        let failed = files.swap(DriveKind::Block, "data", missing).await.unwrap_err();
        assert_eq!(failed.code(), "DRIVE_STAGING_FAILED");
        let missing = copy_of(dir.path().join("missing"));
        files.add(DriveKind::Block, "more", false, missing).await.unwrap_err();
        assert_eq!(drives(dir.path()), [("data-disk".into(), "former".into())]);
    }

    #[tokio::test]
    async fn a_plugged_device_has_its_content_until_it_is_unplugged_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = with_one_drive(dir.path());
        let new = || copy_of(dir.path().join("new"));
        let name = files.add(DriveKind::Block, "more", false, new()).await.unwrap();
        assert_eq!(name, Path::new("drives/more-new"));
        let twice = files.add(DriveKind::Block, "more", false, new()).await.unwrap_err();
        assert_eq!(twice.code(), "DEVICE_EXISTS");
        files.keep_if(DriveKind::Block, "more", Ok(())).unwrap();
        assert_eq!(drives(dir.path()).len(), 2);
        files.remove(DriveKind::Block, "more").unwrap();
        assert_eq!(drives(dir.path()).len(), 1);

        files.add(DriveKind::Block, "more", false, new()).await.unwrap();
        let refused = Err(SmartVmError::NoClient { call: "test" });
        files.keep_if(DriveKind::Block, "more", refused).unwrap_err();
        assert_eq!(drives(dir.path()).len(), 1);
    }
}
