//! The directory of one VM, owned through its lock.

use std::io;
use std::path::{Path, PathBuf};

use fs_err::File;
use smartvm_firecracker::ProcessIdentity;

use super::link::Link;
use super::record::VmRecord;
use super::runtime_dir::RuntimeDir;
use super::work_dir::WorkDir;
use crate::vm_id::VmId;

/// A VM's directory, ours for as long as this value lives.
///
/// Dropping it removes the directory with all that is in it; [`VmDir::remove`] does the same and
/// reports what went wrong.
#[derive(Debug)]
#[must_use = "dropping it removes the directory"]
pub(crate) struct VmDir {
    home: RuntimeDir,
    path: PathBuf,
    record: VmRecord,
    /// Held, not read: the lock is what says that the owner lives.
    _lock: File,
    removed: bool,
}

impl VmDir {
    pub(super) fn new(home: RuntimeDir, path: PathBuf, record: VmRecord, lock: File) -> Self {
        Self { home, path, record, _lock: lock, removed: false }
    }

    #[cfg(test)]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where its Firecracker runs.
    pub(crate) fn work_dir(&self) -> WorkDir {
        WorkDir::plain(self.path.clone())
    }

    pub(crate) fn socket_path(&self) -> PathBuf {
        socket_path(&self.path)
    }

    /// Records Firecracker's process, so that any later process can end it.
    pub(crate) fn record_process(&mut self, process: ProcessIdentity) -> io::Result<()> {
        self.record.firecracker = Some(process);
        self.record.write(&self.path)
    }

    /// Makes the VM's file `name` reachable at `path` as well, until the directory goes.
    pub(crate) fn link(&mut self, path: &Path, name: &Path) -> io::Result<()> {
        let link = Link::new(path, self.work_dir().host_path(name))?;
        self.record.links.push(link.clone());
        self.record.write(&self.path)?;
        link.make()
    }

    /// Removes the directory and the links to it.
    pub(crate) fn remove(mut self) -> io::Result<()> {
        self.remove_whole()
    }

    fn remove_whole(&mut self) -> io::Result<()> {
        self.removed = true;
        let unlinked = self.record.links.iter().try_for_each(Link::remove);
        self.home.remove(&self.path)?;
        unlinked
    }
}

impl Drop for VmDir {
    fn drop(&mut self) {
        if !self.removed
            && let Err(error) = self.remove_whole()
        {
            tracing::warn!(%error, "a VM's directory was left behind; the next sweep removes it");
        }
    }
}

/// Where the API socket of the VM with directory `vm_dir` is.
pub(crate) fn socket_path(vm_dir: &Path) -> PathBuf {
    vm_dir.join("firecracker.sock")
}

/// Where the directory of VM `id` is.
pub(super) fn path_of(home: &Path, id: &VmId) -> PathBuf {
    home.join(id.as_str())
}
