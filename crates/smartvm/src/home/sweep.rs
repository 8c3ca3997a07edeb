//! Removing what dead processes left.

use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use fs_err::File;

use super::link::Link;
use super::record::VmRecord;
use super::runtime_dir::{self, RuntimeDir};
use crate::network::InterfaceRecord;
use crate::vm_id::VmId;

/// How long the last child of a dead owner may take to follow it.
const DYING_PATIENCE: Duration = Duration::from_secs(1);

/// Between two looks at a lock that is about to become free.
const DYING_PAUSE: Duration = Duration::from_millis(1);

/// What a sweep found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct SweepReport {
    /// VMs whose owner had died; their Firecracker was ended and their files removed.
    pub removed: Vec<VmId>,
    /// VMs of dead owners that could not be removed whole; the next sweep tries again.
    pub failed: Vec<(VmId, io::Error)>,
}

impl RuntimeDir {
    /// Removes every VM whose owner died. VMs of living owners are not touched.
    pub(crate) fn sweep(&self) -> io::Result<SweepReport> {
        let _whole = self.lock()?;
        let mut report = SweepReport::default();
        for entry in fs_err::read_dir(self.path())? {
            let entry = entry?;
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<VmId>().ok())
            else {
                continue;
            };
            if !entry.file_type()?.is_dir() {
                continue;
            }
            match remove_if_dead(&entry.path()) {
                Ok(true) => report.removed.push(id),
                Ok(false) => {}
                Err(error) => report.failed.push((id, error)),
            }
        }
        Ok(report)
    }
}

/// Removes a VM's directory, and ends its Firecracker, if its owner died. Returns whether it is
/// gone. The caller holds the lock of the runtime directory, so nobody makes it meanwhile.
pub(super) fn remove_if_dead(vm_dir: &Path) -> io::Result<bool> {
    let Some(_lock) = lock_unless_owned(vm_dir)? else {
        return Ok(false);
    };
    // A record that was never finished names nothing: Firecracker is ended with its owner by the
    // kernel, and the record only covers what the kernel did not get to.
    if let Ok(Some(record)) = VmRecord::read(vm_dir) {
        if let Some(process) = &record.firecracker
            && process.kill()?
        {
            tracing::info!(vm = %record.id, "ended the Firecracker of a dead owner");
        }
        record.interfaces.iter().try_for_each(InterfaceRecord::remove)?;
        if let Some(jail) = &record.jail {
            jail.remove()?;
        }
        record.links.iter().try_for_each(Link::remove)?;
    }
    fs_err::remove_dir_all(vm_dir)?;
    Ok(true)
}

/// Takes the lock of a VM's directory, `None` while its owner lives.
///
/// A child that the owner was making when it was killed has the owner's files open, the lock among
/// them, until it has died of that as well; that takes moments, which are waited for.
fn lock_unless_owned(vm_dir: &Path) -> io::Result<Option<File>> {
    let deadline = Instant::now() + DYING_PATIENCE;
    loop {
        if let Some(lock) = runtime_dir::try_lock_vm(vm_dir)? {
            return Ok(Some(lock));
        }
        let owner_died =
            matches!(VmRecord::read(vm_dir), Ok(Some(record)) if !record.owner.is_alive());
        if !owner_died || Instant::now() > deadline {
            return Ok(None);
        }
        thread::sleep(DYING_PAUSE);
    }
}
