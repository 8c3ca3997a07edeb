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
