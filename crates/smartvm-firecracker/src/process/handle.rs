//! The handle of a running process.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::process::Signal;
use tokio::sync::{Mutex, watch};

use super::ProcessExit;
use super::child::{Child, ChildEnd};
use super::launch::LOG_CAPACITY;
use super::spawn::Guard;
use crate::FirecrackerBinary;
use crate::console::{Console, Output};
use crate::dir_watch::DirWatch;
use crate::log::FirecrackerLog;
use crate::metrics::Metrics;
use smartvm_dir::ProcessIdentity;

/// A Firecracker process that this handle owns.
///
/// **Dropping it** kills the process with SIGKILL, reaps it and removes its API socket. That
/// blocks until the kernel has released the guest's memory: normally 10 to 20 ms, never more than a
/// second. Use [`FirecrackerProcess::terminate`] first to end it without blocking.
#[derive(Debug)]
#[must_use = "the process is killed when its handle is dropped"]
pub struct FirecrackerProcess {
    pub(super) child: Arc<Child>,
    /// Dropped after the child has been ended and reaped: it waits for all others in its namespace.
    pub(super) _guard: Option<Guard>,
    pub(super) binary: FirecrackerBinary,
    pub(super) socket_path: PathBuf,
    /// Until the API has answered; the kernel has few of them.
    pub(super) socket_watch: Mutex<Option<DirWatch>>,
    /// Whether it was started with `--enable-pci`.
    pub(super) pci: bool,
    pub(super) identity: ProcessIdentity,
    pub(super) console: Console,
    pub(super) log: FirecrackerLog,
    pub(super) log_text: Output,
    pub(super) metrics: Option<Metrics>,
    pub(super) exit: watch::Receiver<Option<ProcessExit>>,
}

impl FirecrackerProcess {
    /// The program that runs.
    #[must_use]
    pub fn binary(&self) -> &FirecrackerBinary {
        &self.binary
    }

    /// What a record needs to find this process again.
    #[must_use]
    pub fn identity(&self) -> ProcessIdentity {
        self.identity.clone()
    }

    /// The guest's serial console.
    #[must_use]
    pub fn console(&self) -> Console {
        self.console.clone()
    }

    /// Firecracker's log, line by line.
    #[must_use]
    pub fn log(&self) -> FirecrackerLog {
        self.log.clone()
    }

    /// The end of Firecracker's log, at most 16 KiB.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.log_text.tail_text(LOG_CAPACITY)
    }

    /// Firecracker's metrics; `None` when it was launched without a pipe for them.
    #[must_use]
    pub fn metrics(&self) -> Option<Metrics> {
        self.metrics.clone()
    }

    /// Waits for the process to end, whatever ends it. All its output was kept by then.
    ///
    /// Cancel safe, and any number may wait.
    pub async fn exited(&self) -> ProcessExit {
        let mut exit = self.exit.clone();
        if let Ok(exit) = exit.wait_for(Option::is_some).await
            && let Some(exit) = exit.as_ref()
        {
            return exit.clone();
        }
        // The runtime that launched it was shut down, and with it the task that publishes.
        let end = match self.child.watch() {
            Ok(watched) => watched.wait().await.ok(),
            Err(_) => None,
        };
        let unknown = ChildEnd { code: None, signal: None };
        ProcessExit::new(end.unwrap_or(unknown), self.console.output(), &self.log_text)
    }

    /// How the process ended, if [`FirecrackerProcess::exited`] would return now.
    #[must_use]
    pub fn try_exited(&self) -> Option<ProcessExit> {
        self.exit.borrow().clone()
    }

    /// Sends a signal to the process; to have ended already is success.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        self.child.signal(signal)
    }
}

impl Drop for FirecrackerProcess {
    fn drop(&mut self) {
        // Not left to the child's own drop: the supervising task holds the child, too.
        self.child.end();
    }
}
