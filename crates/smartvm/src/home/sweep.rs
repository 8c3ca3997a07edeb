//! Removing what dead processes left.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::dead::{self, Gone, Remains, SetAside};
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
        Ok(self.claim_dead()?.remove(self, Gone::default))
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

    /// Removes them, several at once. Their interfaces are removed meanwhile by `networks`, together, as the kernel
    /// takes as long for many as for one. Blocks.
    pub(crate) fn remove(self, home: &RuntimeDir, networks: impl FnOnce() -> Gone) -> SweepReport {
        let Self { remains, mut report } = self;
        let mut gone = Gone::default();
        let ended = each(remains, |remains| remains.end(home), || gone = networks());
        let (remains, failed) = parted(ended);
        report.failed.extend(failed);
        let forgotten = each(remains, |remains| remains.forget(home, &gone), || ());
        let (removed, failed) = parted(forgotten);
        report.failed.extend(failed);
        report.removed.extend(removed.into_iter().map(|remains| remains.id));
        report.removed.sort();
        report
    }
}

/// Those with which it went well, and of the others what went wrong.
fn parted(
    done: Vec<(Remains, io::Result<()>)>,
) -> (Vec<Remains>, impl Iterator<Item = (VmId, io::Error)>) {
    let (well, failed): (Vec<_>, Vec<_>) = done.into_iter().partition(|(_, done)| done.is_ok());
    let failed = failed.into_iter().filter_map(|(remains, done)| Some((remains.id, done.err()?)));
    (well.into_iter().map(|(remains, _)| remains).collect(), failed)
}

/// Does the same with each, several at once, and `beside` on this thread meanwhile.
fn each(
    remains: Vec<Remains>,
    work: impl Fn(&mut Remains) -> io::Result<()> + Sync,
    beside: impl FnOnce(),
) -> Vec<(Remains, io::Result<()>)> {
    let workers = remains.len().min(WORKERS);
    let remains = Mutex::new(remains.into_iter());
    let next = || remains.lock().unwrap_or_else(PoisonError::into_inner).next();
    let all = || -> Vec<_> {
        let done = std::iter::from_fn(next).map(|mut remains| {
            let done = work(&mut remains);
            (remains, done)
        });
        done.collect()
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(all)).collect();
        beside();
        let done = workers.into_iter().map(|worker| match worker.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        done.flatten().collect()
    })
}
