//! The directory that holds every VM's directory.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use fs_err::os::unix::fs::OpenOptionsExt;
use fs_err::{File, OpenOptions};

use super::private_dir::{UnsafeDirectory, ensure_private_dir};
use super::record::VmRecord;
use super::sweep;
use super::vm_dir::{self, VmDir};
use crate::vm_id::VmId;

/// The name of the lock, of the whole directory and of a VM's.
const LOCK: &str = "lock";

/// A runtime directory that was found safe.
#[derive(Debug, Clone)]
pub(crate) struct RuntimeDir {
    path: PathBuf,
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

impl RuntimeDir {
    /// Takes `path` as runtime directory, making what is missing.
    pub(crate) fn open(path: &Path) -> Result<Self, UnsafeDirectory> {
        ensure_private_dir(path)?;
        Ok(Self { path: path.to_owned() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn vm_path(&self, id: &VmId) -> PathBuf {
        vm_dir::path_of(&self.path, id)
    }

    /// Takes the directory of VM `id`, removing first what a dead owner left there.
    ///
    /// Blocks while another process makes or removes a directory, which takes microseconds, or a
    /// second at most when it has to end a Firecracker that refuses to die.
    pub(crate) fn claim(&self, id: &VmId) -> Result<VmDir, ClaimError> {
        let failed = |source| ClaimError::Io { id: id.clone(), source };
        let _whole = self.lock().map_err(failed)?;
        let path = self.vm_path(id);
        if fs_err::symlink_metadata(&path).is_ok()
            && !sweep::remove_if_dead(&path).map_err(failed)?
        {
            return Err(ClaimError::InUse { id: id.clone() });
        }
        let made = self.make(&path, id);
        if made.is_err() {
            // The claim failed half-way; the first error is the one to report.
            let _ = fs_err::remove_dir_all(&path);
        }
        made.map_err(failed)
    }

    fn make(&self, path: &Path, id: &VmId) -> io::Result<VmDir> {
        std::fs::DirBuilder::new().mode(0o700).create(path)?;
        let lock = open_lock(&path.join(LOCK))?;
        lock.file().try_lock().map_err(io::Error::other)?;
        let record = VmRecord::new(id.clone())?;
        record.write(path)?;
        Ok(VmDir::new(self.clone(), path.to_owned(), record, lock))
    }

    /// Removes a VM's directory whose lock we hold.
    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        let _whole = self.lock()?;
        match fs_err::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Waits for the lock of the whole directory; it is let go when the file is dropped.
    pub(super) fn lock(&self) -> io::Result<File> {
        let file = open_lock(&self.path.join(".lock"))?;
        file.file().lock()?;
        Ok(file)
    }
}

/// Opens a lock file. Close-on-exec, as all files of the standard library: no child keeps it.
fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Takes the lock of a VM's directory if nobody holds it. `Ok(None)`: its owner lives.
pub(super) fn try_lock_vm(vm_dir: &Path) -> io::Result<Option<File>> {
    let file = open_lock(&vm_dir.join(LOCK))?;
    match file.file().try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests;
