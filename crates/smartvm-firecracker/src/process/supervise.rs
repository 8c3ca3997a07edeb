//! The task that each process has.

use std::pin::pin;
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::time::timeout;

use super::ProcessExit;
use super::child::WatchedChild;
use crate::console::{Output, OutputWriter, pump};
use crate::log::LogPump;
use crate::metrics::MetricsPump;

/// How long after the process' end its output may stay open: only if somebody else holds it.
const DRAIN_PATIENCE: Duration = Duration::from_millis(250);

/// How long the copies of the log and the metrics may take to be written out.
const FINISH_PATIENCE: Duration = Duration::from_secs(1);

/// A stream of the process on its way to where it is kept.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) pipe: pipe::Receiver,
    pub(super) writer: OutputWriter,
    pub(super) output: Output,
}

/// What reads the rest of what the process writes.
#[derive(Debug)]
pub(super) struct Pumps {
    pub(super) log: LogPump,
    /// What the log's pump keeps.
    pub(super) log_text: Output,
    pub(super) metrics: Option<MetricsPump>,
}

/// Moves the process' output until it ends, reaps it and publishes how it ended, after all its
/// output was kept.
pub(super) async fn supervise(
    child: WatchedChild,
    console: Stream,
    pumps: Pumps,
    exit: watch::Sender<Option<ProcessExit>>,
) {
    let mut console_pump = pin!(pump(console.pipe, console.writer));
    let mut ended = pin!(child.wait());
    let mut flowing = true;
    let end = loop {
        tokio::select! {
            end = &mut ended => break end,
            () = &mut console_pump, if flowing => flowing = false,
        }
    };
    if flowing {
        // The rest of the output, which is in the pipe already.
        drop(timeout(DRAIN_PATIENCE, console_pump).await);
    }
    let finished = async {
        pumps.log.finish().await;
        if let Some(metrics) = pumps.metrics {
            metrics.finish().await;
        }
    };
    // A file on a disk that does not answer must not hide the end.
    drop(timeout(FINISH_PATIENCE, finished).await);
    // An error says that the runtime is being shut down, and nobody is left to be told.
    if let Ok(end) = end {
        let ended = ProcessExit::new(end, &console.output, &pumps.log_text);
        tracing::debug!(pid = child.pid().as_raw_pid(), %ended, "Firecracker ended");
        exit.send_replace(Some(ended));
    }
}
