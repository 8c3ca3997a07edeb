//! Removing what dead processes left.

use std::io;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::dead::{self, Remains, SetAside};
use super::runtime_dir::RuntimeDir;
use crate::vm_id::VmId;

/// How many are removed at once: each mostly waits for the kernel.
const WORKERS: usize = 8;

/// What a sweep found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct SweepReport {
    /// VMs whose owner had died; their Firecracker was ended and their files removed.
    pub removed: Vec<VmId>,
    /// VMs of dead owners that could not be removed whole; the next sweep tries again.
    pub failed: Vec<(VmId, io::Error)>,
    /// VMs of dead owners whose record cannot be read, so that it is not known what belongs to them. Their
    /// directories were put where each is named, to be looked at and removed by a person.
    pub damaged: Vec<(VmId, PathBuf)>,
}

/// Dead VMs that nobody else sees any more, to be removed.
#[derive(Debug, Default)]
pub(crate) struct Claimed {
    remains: Vec<Remains>,
    report: SweepReport,
}

impl RuntimeDir {
    /// Removes every VM whose owner died. VMs of living owners are not touched.
    #[cfg(test)]
    pub(crate) fn sweep(&self) -> io::Result<SweepReport> {
        Ok(self.claim_dead()?.remove(self))
    }

    /// Sets every VM aside whose owner died. The lock of the whole is held for each by itself, so that
    /// nobody else waits for longer than one takes.
    pub(crate) fn claim_dead(&self) -> io::Result<Claimed> {
        let mut claimed = Claimed { remains: dead::left_aside(self)?, ..Claimed::default() };
        for id in self.ids()? {
            if let Err(error) = self.claim_one(&id, &mut claimed) {
                // The lock of the whole is needed for the others as well.
                if smartvm_dir::HostLockBusy::of(&error).is_some() {
                    return Err(error);
                }
                claimed.report.failed.push((id, error));
            }
        }
        Ok(claimed)
    }

    fn claim_one(&self, id: &VmId, claimed: &mut Claimed) -> io::Result<()> {
        // Before the lock: nobody has to wait while we look at those that are alive or dying.
        if !dead::wait_for_end(self, id)? {
            return Ok(());
        }
        let aside = {
            let _whole = self.lock()?;
            dead::set_aside(self, id)?
        };
        match aside {
            Some(SetAside::Dead(remains)) => claimed.remains.push(remains),
            Some(SetAside::Damaged(path)) => claimed.report.damaged.push((id.clone(), path)),
            Some(SetAside::Gone) | None => {}
        }
        Ok(())
    }
}

impl Claimed {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.remains.len()
    }

    /// Removes them, several at once. Blocks.
    pub(crate) fn remove(self, home: &RuntimeDir) -> SweepReport {
        let Self { remains, mut report } = self;
        let workers = remains.len().min(WORKERS);
        let remains = Mutex::new(remains.into_iter());
        let done = Mutex::new(&mut report);
        let work = || loop {
            let next = remains.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(next) = next else { break };
            let id = next.id.clone();
            let removed = next.remove(home);
            let mut report = done.lock().unwrap_or_else(PoisonError::into_inner);
            match removed {
                Ok(()) => report.removed.push(id),
                Err(error) => report.failed.push((id, error)),
            }
        };
        match NonZero::new(workers) {
            None => {}
            Some(NonZero::<usize>::MIN) => work(),
            Some(workers) => thread::scope(|scope| {
                for _ in 0..workers.get() {
                    scope.spawn(work);
                }
            }),
        }
        report.removed.sort();
        report
    }
}
