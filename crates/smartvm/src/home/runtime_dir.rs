//! The directory that holds every VM's directory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use smartvm_dir::{HeldLock, HostLockBusy, PrivateDir, UnsafeDirectory};

use super::dead::{self, DEAD};
use super::record::VmRecord;
use super::vm_dir::{self, VmDir};
use crate::jail::JailBounds;
use crate::vm_id::VmId;

/// The name of a VM's lock.
pub(super) const LOCK: &str = "lock";

/// The name of the lock of the whole directory.
pub(super) const WHOLE: &str = ".lock";

/// A runtime directory that was found safe.
#[derive(Debug, Clone)]
pub(crate) struct RuntimeDir {
    dir: PrivateDir,
    /// Which jails a record may name.
    pub(super) jails: Arc<JailBounds>,
}

/// A runtime directory that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use runtime directory {}", path.display())]
pub struct RuntimeDirError {
    /// The directory.
    pub path: PathBuf,
    /// What went wrong.
    pub source: io::Error,
}

/// A VM's directory that could not be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// Another process runs a VM with this id.
    #[error("VM {id} exists already and its owner is alive")]
    InUse {
        /// The id.
        id: VmId,
    },
    /// The directory could not be made, or what a dead process left could not be removed.
    #[error("cannot make the directory of VM {id}")]
    Io {
        /// The id.
        id: VmId,
        /// What the system said.
        source: io::Error,
    },
}

impl RuntimeDirError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        code_of(&self.source)
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        HostLockBusy::of(&self.source).map(HostLockBusy::hint)
    }
}

impl ClaimError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "VM_EXISTS",
            Self::Io { source, .. } => code_of(source),
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::InUse { .. } => Some("choose another id, or stop the VM that has it".to_owned()),
            Self::Io { source, .. } => HostLockBusy::of(source).map(HostLockBusy::hint),
        }
    }
}

fn code_of(error: &io::Error) -> &'static str {
    if HostLockBusy::of(error).is_some() { HostLockBusy::CODE } else { "RUNTIME_DIR_FAILED" }
}

impl RuntimeDir {
    /// Takes `path` as runtime directory, making what is missing. Records in it may name jails
    /// within the bounds.
    pub(crate) fn open(path: &Path, jails: JailBounds) -> Result<Self, UnsafeDirectory> {
        Ok(Self { dir: PrivateDir::ensure(path)?, jails: Arc::new(jails) })
    }

    /// The directory, if it is there, to look at what is in it.
    pub(super) fn existing(path: &Path) -> Result<Option<Self>, UnsafeDirectory> {
        let jails = Arc::new(JailBounds::none());
        Ok(PrivateDir::existing(path)?.map(|dir| Self { dir, jails }))
    }

    /// Another directory, of the same manager.
    pub(super) fn beside(&self, dir: PrivateDir) -> Self {
        Self { dir, jails: Arc::clone(&self.jails) }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn dir(&self) -> &PrivateDir {
        &self.dir
    }

    pub(crate) fn vm_path(&self, id: &VmId) -> PathBuf {
        vm_dir::path_of(self.path(), id)
    }

    /// Takes the directory of VM `id`, removing first what a dead owner left there.
    ///
    /// Blocks for as long as that takes, and for five seconds at most while others make or remove
    /// directories.
    pub(crate) fn claim(&self, id: &VmId) -> Result<VmDir, ClaimError> {
        let failed = |source| ClaimError::Io { id: id.clone(), source };
        let vm_dir = loop {
            let whole = self.lock().map_err(failed)?;
            if !self.dir.has_dir(id.as_str()).map_err(failed)? {
                break self.make(id).map_err(failed)?;
            }
            if dead::set_aside(self, id).map_err(failed)?.is_none() {
                drop(whole);
                // The last child of a dead owner may be on its way.
                if !dead::wait_for_end(self, id).map_err(failed)? {
                    return Err(ClaimError::InUse { id: id.clone() });
                }
            }
        };
        // Its interfaces had the names that those of this one will have.
        match dead::remove_all_of(self, id) {
            Ok(()) => Ok(vm_dir),
            // Dropping the new directory removes it.
            Err(error) => Err(failed(error)),
        }
    }

    /// Makes the directory. The lock of the whole is held: nobody sees it half made.
    fn make(&self, id: &VmId) -> io::Result<VmDir> {
        let made = self.dir.create_dir(id.as_str()).and_then(|dir| {
            let lock = dir.create_lock(LOCK)?;
            let record = VmRecord::new(id.clone())?;
            record.write(&dir)?;
            Ok(VmDir::new(self.clone(), dir, record, lock))
        });
        if made.is_err() {
            // The first error is the one to report.
            let _ = self.dir.remove_dir_all(id.as_str());
        }
        made
    }

    /// Waits for the lock of the whole directory, for five seconds at most.
    pub(super) fn lock(&self) -> io::Result<HeldLock> {
        self.dir.lock(WHOLE)
    }

    /// The VMs that have a directory.
    pub(super) fn ids(&self) -> io::Result<Vec<VmId>> {
        let entries = self.dir.entries()?.into_iter().filter(smartvm_dir::Entry::is_dir);
        let mut ids: Vec<VmId> =
            entries.filter_map(|entry| entry.name().to_str()?.parse().ok()).collect();
        ids.sort();
        Ok(ids)
    }

    /// Where directories of dead VMs are while they are removed.
    pub(super) fn dead(&self) -> io::Result<Option<PrivateDir>> {
        self.dir.dir(DEAD)
    }
}

#[cfg(test)]
mod tests;
