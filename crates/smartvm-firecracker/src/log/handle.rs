//! The log as its users see it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::LogLine;
use super::kept::KeptLines;

/// How much of a log is kept in memory, in bytes, about.
const KEPT: usize = 64 * 1024;

/// The end of one Firecracker's log. Clones are the same log. It outlives the process.
///
/// The last lines are kept, some 64 KiB. They go to `tracing` as they come, with the target
/// `smartvm::firecracker` and Firecracker's own level, unless they come too fast: more than 16 KiB a
/// second for long. What is left out then is counted, and told there.
#[derive(Debug, Clone)]
pub struct FirecrackerLog {
    kept: Arc<Mutex<KeptLines>>,
}

impl FirecrackerLog {
    pub(super) fn new() -> Self {
        Self { kept: Arc::new(Mutex::new(KeptLines::new(KEPT))) }
    }

    /// The last lines, the oldest first.
    #[must_use]
    pub fn lines(&self) -> Vec<LogLine> {
        self.kept().lines()
    }

    /// How many lines are not in [`lines`](Self::lines): they are too old, or were too long to be
    /// read. What Firecracker dropped because the pipe was full, it counts itself, in the metric
    /// `logger.missed_log_count`.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.kept().lost()
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, KeptLines> {
        // The lines are whole after each operation: a panic elsewhere left them usable.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
