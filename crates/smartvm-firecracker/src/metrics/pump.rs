//! The task that reads the metrics of one Firecracker.

use std::io;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::handle::Metrics;
use super::{MetricsFlush, MetricsPipe, MetricsSnapshot, MetricsTotals};
use crate::stream::{FifoReader, FileSink, Lines};

/// The longest line that is read, in bytes: ten times what a VM with thirty devices writes.
const LINE_LIMIT: usize = 256 * 1024;

/// The reading of metrics, until it is finished. Dropping it ends the reading as well.
#[derive(Debug)]
pub(crate) struct MetricsPump {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl MetricsPump {
    /// Reads what is in the pipe now, and ends.
    pub(crate) async fn finish(self) {
        // It fails when the task has ended by itself.
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

/// Starts to read.
pub(crate) fn start(pipe: MetricsPipe) -> io::Result<(MetricsPump, Metrics)> {
    let reader = pipe.fifo.reader()?;
    let (publish, latest) = watch::channel(Arc::new(MetricsSnapshot::default()));
    let (ask, asked) = mpsc::channel(4);
    let state = State {
        lines: Lines::new(LINE_LIMIT),
        totals: MetricsTotals::new(),
        unreadable: 0,
        file: pipe.file.map(FileSink::new),
        publish,
    };
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(pump(state, reader, asked, stopped));
    Ok((MetricsPump { stop, task }, Metrics::new(latest, ask)))
}

async fn pump(
    mut state: State,
    reader: FifoReader,
    mut asked: mpsc::Receiver<oneshot::Sender<()>>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut askable = true;
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            ask = asked.recv(), if askable => match ask {
                Some(done) => {
                    state.drain(&reader).await;
                    // Who asked may have gone meanwhile.
                    let _ = done.send(());
                }
                None => askable = false,
            },
            piece = reader.next() => match piece {
                Ok(piece) => state.take(piece).await,
                Err(error) => {
                    tracing::warn!(%error, "metrics are not read any more");
                    return;
                }
            },
        }
    }
    state.drain(&reader).await;
}

struct State {
    lines: Lines,
    totals: MetricsTotals,
    unreadable: u64,
    file: Option<FileSink>,
    publish: watch::Sender<Arc<MetricsSnapshot>>,
}

impl State {
    /// Takes what is in the pipe at this moment. Bounded by what a pipe holds, even when somebody
    /// writes to it all the time.
    async fn drain(&mut self, reader: &FifoReader) {
        let mut rest = 2 * crate::stream::FIFO_CAPACITY;
        while rest > 0
            && let Ok(Some(piece)) = reader.now()
        {
            rest = rest.saturating_sub(piece.len().max(1));
            self.take(piece).await;
        }
    }

    async fn take(&mut self, piece: Vec<u8>) {
        let before = (self.totals.snapshot().flushes, self.damaged());
        // The copy has whole lines, wherever it is rotated.
        let mut copy = Vec::new();
        self.lines.feed(&piece, |line| {
            if self.file.is_some() {
                copy.extend_from_slice(line);
                copy.push(b'\n');
            }
            match MetricsFlush::parse(line) {
                Ok(flush) => self.totals.add(flush),
                Err(error) => {
                    tracing::debug!(%error, "a line of metrics was not read");
                    self.unreadable += 1;
                }
            }
        });
        self.totals.set_damaged(self.damaged());
        if before != (self.totals.snapshot().flushes, self.damaged()) {
            self.publish.send_replace(Arc::new(self.totals.snapshot().clone()));
        }
        if let Some(file) = &mut self.file
            && !copy.is_empty()
        {
            file.append(copy).await;
        }
    }

    fn damaged(&self) -> u64 {
        self.unreadable + self.lines.dropped()
    }
}

#[cfg(test)]
mod tests;
