//! The directory of one VM, owned through its lock.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::{getegid, geteuid};
use smartvm_dir::{HeldLock, PrivateDir};
use smartvm_firecracker::ProcessIdentity;

use super::dead::{self, Remains};
use super::link::Link;
use super::record::VmRecord;
use super::runtime_dir::RuntimeDir;
use super::work_dir::WorkDir;
use crate::disk::DiskUse;
use crate::image_use::ImagesInUse;
use crate::jail::{Jail, JailPlan, JailRecord, MakeJailError};
use crate::network::InterfaceRecord;
use crate::vm_id::VmId;

/// A VM's directory, ours for as long as this value lives.
///
/// Dropping it removes the directory with all that is in it; [`VmDir::remove`] does the same and
/// reports what went wrong.
#[derive(Debug)]
#[must_use = "dropping it removes the directory"]
pub(crate) struct VmDir {
    pub(super) home: RuntimeDir,
    pub(super) dir: PrivateDir,
    pub(super) record: VmRecord,
    jail: Option<Jail>,
    /// What the VM has stays as it is for as long.
    images: Option<ImagesInUse>,
    /// Held, not read: what was promised to the VM counts until its files are gone.
    _disk: Option<DiskUse>,
    /// It is what says that the owner lives.
    pub(super) lock: HeldLock,
    /// Where it is while it is removed.
    remains: Option<Remains>,
    removed: bool,
}

impl VmDir {
    pub(super) fn new(home: RuntimeDir, dir: PrivateDir, record: VmRecord, lock: HeldLock) -> Self {
        Self {
            home,
            dir,
            record,
            jail: None,
            images: None,
            _disk: None,
            lock,
            remains: None,
            removed: false,
        }
    }

    /// Keeps images from others until the directory is gone, and what was lent is given back.
    pub(crate) fn hold(&mut self, images: ImagesInUse) {
        self.images = Some(images);
    }

    /// Keeps what was promised to the VM of the disk for as long.
    pub(crate) fn hold_disk(&mut self, disk: DiskUse) {
        self._disk = Some(disk);
    }

    #[cfg(test)]
    pub(super) fn id(&self) -> &VmId {
        &self.record.id
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Makes a jail for its Firecracker, whose API socket is reachable from here as any other's.
    /// Blocks for a moment. After a failure the whole directory has to be removed.
    pub(crate) fn make_jail(
        &mut self,
        plan: JailPlan,
        instance_id: &str,
    ) -> Result<&Jail, MakeJailError> {
        let (dir, record) = (&self.dir, &mut self.record);
        let jail = Jail::make(plan, instance_id, |jail| {
            record.jail = Some(jail.clone());
            record.write(dir)?;
            link_socket(dir, record)
        })?;
        Ok(self.jail.insert(jail))
    }

    /// Whether network devices are made for it.
    pub(crate) fn has_interfaces(&self) -> bool {
        !self.record.interfaces.is_empty()
    }

    /// The user and group that its Firecracker is.
    pub(crate) fn user(&self) -> (u32, u32) {
        match &self.record.jail {
            Some(jail) => (jail.uid, jail.gid),
            None => (geteuid().as_raw(), getegid().as_raw()),
        }
    }

    /// Records network devices that are about to be made.
    pub(crate) fn record_interfaces(&mut self, interfaces: &[InterfaceRecord]) -> io::Result<()> {
        self.record.interfaces = interfaces.to_vec();
        self.record.write(&self.dir)
    }

    pub(crate) fn jail(&self) -> Option<&Jail> {
        self.jail.as_ref()
    }

    /// Whether the kernel killed it for using more memory than its limit.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        self.record.jail.as_ref().is_some_and(JailRecord::ran_out_of_memory)
    }

    /// Where its Firecracker runs.
    pub(crate) fn work_dir(&self) -> WorkDir {
        match &self.jail {
            None => WorkDir::plain(self.dir.clone()),
            Some(jail) => WorkDir::jailed(Arc::clone(&jail.files)),
        }
    }

    /// Where Firecracker makes its API socket.
    pub(crate) fn socket_path(&self) -> PathBuf {
        socket_path(self.work_dir().path())
    }

    /// Records Firecracker's process, so that any later process can end it.
    pub(crate) fn record_process(&mut self, process: ProcessIdentity) -> io::Result<()> {
        self.record.firecracker = Some(process);
        self.record.write(&self.dir)
    }

    /// Makes the VM's file `name` reachable at `path` as well, until the directory goes.
    pub(crate) fn link(&mut self, path: &Path, name: &Path) -> io::Result<()> {
        let link = Link::new(path, self.work_dir().host_path(name))?;
        self.record.links.push(link.clone());
        self.record.write(&self.dir)?;
        link.make()
    }

    /// Removes the directory, the links to it and the jail. After a failure it can be tried again: what
    /// is gone already is no error. Blocks for as long as that takes.
    pub(crate) fn remove(&mut self) -> io::Result<()> {
        if self.removed {
            return Ok(());
        }
        if let Some(remains) = &mut self.remains {
            remains.remove(&self.home)?;
        } else if self.dir.is_in_place()? {
            let remains = dead::retire(&self.home, self.record.clone())?;
            self.remains.insert(remains).remove(&self.home)?;
        } else {
            // Somebody who removed our directory, or the whole, spared us that part only.
            self.record.links.iter().try_for_each(Link::remove)?;
            self.record.interfaces.iter().try_for_each(InterfaceRecord::remove)?;
            let jail = self.record.jail.as_ref();
            jail.map_or(Ok(()), |jail| jail.remove(&self.home.jails))?;
        }
        self.removed = true;
        Ok(())
    }

    /// The same where nothing may block. It goes on when the future is dropped. What is left is given back
    /// with the error.
    pub(crate) async fn remove_in_background(
        mut self,
    ) -> Result<(), (Option<Box<Self>>, io::Error)> {
        let removing = tokio::task::spawn_blocking(move || match self.remove() {
            Ok(()) => Ok(()),
            Err(error) => Err((Some(Box::new(self)), error)),
        });
        removing.await.unwrap_or_else(|panic| Err((None, io::Error::other(panic))))
    }
}

impl Drop for VmDir {
    fn drop(&mut self) {
        if !self.removed
            && let Err(error) = self.remove()
        {
            tracing::warn!(%error, "a VM's directory was left behind; the next sweep removes it");
        }
    }
}

/// The name of the API socket.
pub(super) const SOCKET: &str = "firecracker.sock";

/// Makes the API socket of a jailed Firecracker reachable in the VM's directory as any other's.
pub(super) fn link_socket(dir: &PrivateDir, record: &VmRecord) -> io::Result<()> {
    match &record.jail {
        Some(jail) => dir.symlink(&socket_path(&jail.dir.join("root")), SOCKET),
        None => Ok(()),
    }
}

/// Where the API socket of the VM with directory `vm_dir` is.
pub(crate) fn socket_path(vm_dir: &Path) -> PathBuf {
    vm_dir.join(SOCKET)
}

/// Where the directory of VM `id` is.
pub(super) fn path_of(home: &Path, id: &VmId) -> PathBuf {
    home.join(id.as_str())
}
