//! The task that each process has.

use std::pin::pin;
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::time::timeout;

use super::ProcessExit;
use super::child::WatchedChild;
use crate::console::{Output, OutputWriter, pump};

/// How long after the process' end its output may stay open: only if somebody else holds it.
const DRAIN_PATIENCE: Duration = Duration::from_millis(250);

/// A stream of the process on its way to where it is kept.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) pipe: pipe::Receiver,
    pub(super) writer: OutputWriter,
    pub(super) output: Output,
}

/// Moves the process' output until it ends, reaps it and publishes how it ended, after all its
/// output was kept.
pub(super) async fn supervise(
    child: WatchedChild,
    console: Stream,
    log: Stream,
    exit: watch::Sender<Option<ProcessExit>>,
) {
    let mut pumps = pin!(async {
        tokio::join!(pump(console.pipe, console.writer), pump(log.pipe, log.writer))
    });
    let mut ended = pin!(child.wait());
    let mut flowing = true;
    let end = loop {
        tokio::select! {
            end = &mut ended => break end,
            _ = &mut pumps, if flowing => flowing = false,
        }
    };
    if flowing {
        // The rest of the output, which is in the pipes already.
        drop(timeout(DRAIN_PATIENCE, pumps).await);
    }
    // An error says that the runtime is being shut down, and nobody is left to be told.
    if let Ok(end) = end {
        let ended = ProcessExit::new(end, &console.output, &log.output);
        tracing::debug!(pid = child.pid().as_raw_pid(), %ended, "Firecracker ended");
        exit.send_replace(Some(ended));
    }
}
