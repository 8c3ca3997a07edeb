//! A child process held by its pidfd.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use tokio::io::unix::AsyncFd;

use super::readable_fd::watch_readable;

/// How long a killed process may take to be gone before its drop gives up on it. The kernel
/// releases the guest's memory in that time.
const DYING_PATIENCE: Duration = Duration::from_secs(1);

/// A child process. Its pidfd cannot come to mean another process, as a pid can.
///
/// Dropping it kills and reaps the process and removes its socket, blocking meanwhile.
#[derive(Debug)]
pub(crate) struct Child {
    pid: Pid,
    pidfd: OwnedFd,
    /// The socket that the process makes and leaves behind, until it was removed. After that
    /// another process may have made one of the same name.
    socket_path: Mutex<Option<PathBuf>>,
    end: Mutex<Option<ChildEnd>>,
}

/// How a process ended; neither when its parent's other code reaped it first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChildEnd {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
}

impl Child {
    /// Takes over a child that nobody has waited for.
    pub(super) const fn new(pid: Pid, pidfd: OwnedFd, socket_path: Option<PathBuf>) -> Self {
        Self { pid, pidfd, socket_path: Mutex::new(socket_path), end: Mutex::new(None) }
    }

    pub(crate) const fn pid(&self) -> Pid {
        self.pid
    }

    /// What the process is held by.
    pub(crate) const fn pidfd(&self) -> &OwnedFd {
        &self.pidfd
    }

    /// Sends a signal; to have ended already is success.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// How the process ended, if it did; reaps it.
    pub(crate) fn try_reap(&self) -> Option<ChildEnd> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if end.is_none() {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            *end = match waitid(WaitId::PidFd(self.pidfd.as_fd()), options) {
                Ok(None) | Err(Errno::INTR) => None,
                Ok(Some(status)) => Some(ChildEnd {
                    code: status.exit_status(),
                    signal: status.terminating_signal(),
                }),
                // The host program ignores SIGCHLD or waits for every child itself.
                Err(_) => Some(ChildEnd { code: None, signal: None }),
            };
        }
        *end
    }

    /// Has the current runtime watch for the end of the process.
    pub(crate) fn watch(self: &Arc<Self>) -> io::Result<WatchedChild> {
        let pidfd = watch_readable(self.pidfd.try_clone()?)?;
        Ok(WatchedChild { child: Arc::clone(self), pidfd })
    }

    /// Kills the process, waits for it to be gone, and removes its socket. Blocks, normally for
    /// some milliseconds, at most for [`DYING_PATIENCE`]. Repeating it does nothing.
    pub(crate) fn end(&self) {
        if self.try_reap().is_none() {
            let killed = self.signal(Signal::KILL);
            if killed.is_err() || !wait_readable(self.pidfd.as_fd(), DYING_PATIENCE) {
                tracing::warn!(pid = self.pid.as_raw_pid(), "a killed process is not gone yet");
            }
            self.try_reap();
        }
        let socket_path = self.socket_path.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(path) = socket_path
            && let Err(error) = fs_err::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the API socket is left behind");
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end();
    }
}

/// A child whose end the runtime watches for.
#[derive(Debug)]
pub(crate) struct WatchedChild {
    child: Arc<Child>,
    pidfd: AsyncFd<OwnedFd>,
}

impl WatchedChild {
    pub(crate) fn pid(&self) -> Pid {
        self.child.pid
    }

    /// Waits for the end of the process and reaps it. Cancel safe.
    pub(crate) async fn wait(&self) -> io::Result<ChildEnd> {
        loop {
            let mut ready = self.pidfd.readable().await?;
            if let Some(end) = self.child.try_reap() {
                return Ok(end);
            }
            ready.clear_ready();
        }
    }
}

/// Blocks until a descriptor is readable, as a pidfd is once its process ended. False when it is
/// not by then.
pub(crate) fn wait_readable(fd: BorrowedFd<'_>, patience: Duration) -> bool {
    let Ok(patience) = Timespec::try_from(patience) else { return false };
    loop {
        match poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&patience)) {
            Ok(ready) => return ready > 0,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::spawn::{SpawnRequest, Spawned, spawn};
    use super::*;

    /// A program that waits, until its standard input is closed.
    async fn waiting(socket_path: Option<PathBuf>) -> Spawned {
        let program = PathBuf::from("/bin/cat");
        let request = SpawnRequest { program, socket_path, ..SpawnRequest::default() };
        spawn(request).await.unwrap()
    }

    #[tokio::test]
    async fn a_socket_made_since_under_the_same_name_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let socket_path = dir.path().join("socket");
        let spawned = waiting(Some(socket_path.clone())).await;
        fs_err::write(&socket_path, b"its own").unwrap();
        spawned.child.end();
        assert!(!socket_path.exists());
        fs_err::write(&socket_path, b"its successor's").unwrap();
        drop(spawned.child);
        assert!(socket_path.exists());
    }

    #[tokio::test]
    async fn a_child_reaped_by_other_code_has_ended_somehow() {
        let child = waiting(None).await.child;
        child.signal(Signal::KILL).unwrap();
        waitid(WaitId::Pid(child.pid()), WaitIdOptions::EXITED).unwrap();
        assert_eq!(child.try_reap(), Some(ChildEnd { code: None, signal: None }));
        child.signal(Signal::KILL).expect("to have ended already is success");
    }
}
