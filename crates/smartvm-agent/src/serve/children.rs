//! The agent's children: those of sessions, and orphans of the guest that nobody else reaps.
//!
//! One thread reaps, on SIGCHLD, whoever it is, and hands a session's child's end to the session. Nobody else waits for
//! children, so no end is lost to the wrong waiter; a process number is free for another only once it was reaped, so
//! none is given a signal that was meant for a former owner of its number.

#![expect(unsafe_code, reason = "rustix does not tell what a child has used")]

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};
use smartvm_protocol::agent::Ended;

/// All children that belong to sessions.
#[derive(Debug, Default)]
pub(crate) struct Children {
    table: Mutex<HashMap<i32, Arc<Child>>>,
    /// Told after children were reaped.
    reaped: Condvar,
}

/// A child of a session.
#[derive(Debug)]
pub(crate) struct Child {
    pid: Pid,
    /// Readable from its end on.
    event: OwnedFd,
    end: OnceLock<End>,
}

/// How a child ended, and what it had used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) ended: Ended,
    pub(crate) user_us: u64,
    pub(crate) system_us: u64,
    pub(crate) peak_rss: u64,
}

impl Children {
    /// Has `start` make a child. It must not wait for anything: no other child is reaped meanwhile.
    pub(crate) fn start(
        &self,
        start: impl FnOnce() -> Result<Pid, Errno>,
    ) -> Result<Arc<Child>, Errno> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let mut table = self.table();
        let pid = start()?;
        let child = Arc::new(Child { pid, event, end: OnceLock::new() });
        table.insert(pid.as_raw_nonzero().get(), Arc::clone(&child));
        Ok(child)
    }

    /// Sends a signal to a child's process group, unless it has ended.
    pub(crate) fn signal(&self, child: &Child, signal: Signal) -> Result<(), Errno> {
        let table = self.table();
        if !table.contains_key(&child.pid.as_raw_nonzero().get()) {
            return Ok(());
        }
        match rustix::process::kill_process_group(child.pid, signal) {
            // It has not come to make itself a group yet.
            Err(Errno::SRCH) => rustix::process::kill_process(child.pid, signal),
            other => other,
        }
    }

    /// Kills what is left of a process group whose leader has ended. A process that has the leader's number now would
    /// mean that no process of the group was left when it was given away.
    pub(crate) fn kill_rest(&self, child: &Child) {
        let _table = self.table();
        if rustix::process::test_kill_process(child.pid) == Err(Errno::SRCH) {
            // There may be nobody.
            let _ = rustix::process::kill_process_group(child.pid, Signal::KILL);
        }
    }

    /// Takes the end of every child that has ended.
    pub(crate) fn reap(&self) {
        loop {
            let mut table = self.table();
            let Some((pid, end)) = wait_for_any() else {
                self.reaped.notify_all();
                return;
            };
            if let Some(child) = table.remove(&pid) {
                // It is the only one that sets it.
                let _ = child.end.set(end);
                // An event that is there already is as good.
                let _ = rustix::io::write(&child.event, &1_u64.to_ne_bytes());
            }
        }
    }

    /// Waits until the agent has no child at all, at most until `deadline`; whether that is so. For process 1, whose
    /// child every orphan becomes, it means that nothing else runs.
    pub(crate) fn wait_until_none(&self, deadline: Instant) -> bool {
        let mut table = self.table();
        loop {
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            if matches!(waitid(WaitId::All, look), Err(Errno::CHILD)) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.reaped.wait_timeout(table, left);
            table = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How many run.
    pub(crate) fn count(&self) -> usize {
        self.table().len()
    }

    fn table(&self) -> MutexGuard<'_, HashMap<i32, Arc<Child>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Child {
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// How it ended, once it has.
    pub(crate) fn end(&self) -> Option<End> {
        self.end.get().copied()
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

fn wait_for_any() -> Option<(i32, End)> {
    loop {
        let mut status = 0;
        // SAFETY: `rusage` is made of numbers, for which zeroes are valid.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to what the call writes, and live until it returns.
        let pid = unsafe { libc::wait4(-1, &raw mut status, libc::WNOHANG, &raw mut usage) };
        match pid {
            1.. => return Some((pid, end(status, &usage))),
            0 => return None,
            _ if Errno::from_io_error(&std::io::Error::last_os_error()) == Some(Errno::INTR) => {}
            _ => return None,
        }
    }
}

fn end(status: i32, usage: &libc::rusage) -> End {
    let byte = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    let ended = if libc::WIFSIGNALED(status) {
        Ended::Signal { number: byte(libc::WTERMSIG(status)), core: libc::WCOREDUMP(status) }
    } else {
        Ended::Code(byte(libc::WEXITSTATUS(status)))
    };
    let microseconds = |time: libc::timeval| {
        u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000
            + u64::try_from(time.tv_usec).unwrap_or(0)
    };
    End {
        ended,
        user_us: microseconds(usage.ru_utime),
        system_us: microseconds(usage.ru_stime),
        peak_rss: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
    }
}
