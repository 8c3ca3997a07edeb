//! Ending a process step by step.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::time::timeout;

use super::{FirecrackerProcess, ProcessExit};

/// One attempt at ending a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopStep {
    /// What is sent.
    pub signal: Signal,
    /// How long the process then has to end.
    pub patience: Duration,
}

/// Asks with SIGTERM and 5 seconds, then kills with SIGKILL and 1 second.
pub const TERM_THEN_KILL: [StopStep; 2] = [
    StopStep { signal: Signal::TERM, patience: Duration::from_secs(5) },
    StopStep { signal: Signal::KILL, patience: Duration::from_secs(1) },
];

/// What came of ending a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Termination {
    /// How the process ended; `None` when it still runs after the last step.
    pub exit: Option<ProcessExit>,
    /// The signal after which it ended; `None` when it had ended before, or still runs.
    pub ended_by: Option<Signal>,
    /// How long all of it took.
    pub took: Duration,
}

impl FirecrackerProcess {
    /// Sends the signals of `steps` one after the other until the process has ended, each only
    /// when the one before did not suffice in its time. A process that has ended gets none.
    ///
    /// When the future is dropped, no further step is taken; the process stays as it is.
    pub async fn terminate(&self, steps: &[StopStep]) -> Termination {
        let started = Instant::now();
        let report = |exit, ended_by| Termination { exit, ended_by, took: started.elapsed() };
        if let Some(exit) = self.try_exited() {
            return report(Some(exit), None);
        }
        for step in steps {
            if let Err(error) = self.signal(step.signal) {
                tracing::warn!(%error, signal = step.signal.as_raw(), "could not signal");
            }
            if let Ok(exit) = timeout(step.patience, self.exited()).await {
                return report(Some(exit), Some(step.signal));
            }
        }
        report(None, None)
    }
}
