//! The task that reads the log of one Firecracker.

use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{FirecrackerLog, LogFile, LogLine, LogPipe};
use crate::console::{Output, OutputWriter};
use crate::log::relay::Relay;
use crate::stream::{FIFO_CAPACITY, FifoReader, FileSink, Lines};

/// The longest line that is read, in bytes. A request's body is at most 50 KiB.
const LINE_LIMIT: usize = 64 * 1024;

/// How long after the process' end its standard error may stay open: only if somebody else holds it.
const DRAIN_PATIENCE: Duration = Duration::from_millis(250);

/// Read at once of standard error.
const READ_SIZE: usize = 4096;

/// What there is of a log.
#[derive(Debug)]
pub(crate) struct LogSources {
    /// The VM, as its owner calls it.
    pub(crate) vm: String,
    /// The `--id` of the Firecracker.
    pub(crate) instance: String,
    pub(crate) stderr: OwnedFd,
    pub(crate) pipe: Option<LogPipe>,
    /// How many bytes of the log are kept as text.
    pub(crate) capacity: usize,
}

/// The reading of a log, until it is finished. Dropping it ends the reading as well.
#[derive(Debug)]
pub(crate) struct LogPump {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl LogPump {
    /// Reads what is left of the log of a process that has ended.
    pub(crate) async fn finish(self) {
        // It fails when the task has ended by itself.
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

/// Starts to read. The output is the log as text.
pub(crate) fn start(sources: LogSources) -> io::Result<(LogPump, FirecrackerLog, Output)> {
    let stderr = pipe::Receiver::from_owned_fd(sources.stderr)?;
    let (reader, file) = match sources.pipe {
        Some(pipe) => (Some(pipe.fifo.reader()?), pipe.file),
        None => (None, None),
    };
    let log = FirecrackerLog::new();
    let (text, output) = Output::new(sources.capacity);
    let state = State {
        relay: Relay::new(sources.vm, sources.instance),
        log: log.clone(),
        text,
        show_level: file.as_ref().is_some_and(|file| file.show_level),
        file: file.map(|LogFile { file, .. }| FileSink::new(file)),
    };
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(pump(state, stderr, reader, stopped));
    Ok((LogPump { stop, task }, log, output))
}

async fn pump(
    mut state: State,
    mut stderr: pipe::Receiver,
    reader: Option<FifoReader>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut from_stderr = Some(Lines::new(LINE_LIMIT));
    let mut from_pipe = Lines::new(LINE_LIMIT);
    loop {
        let mut piece = Vec::with_capacity(READ_SIZE);
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            read = stderr.read_buf(&mut piece), if from_stderr.is_some() => {
                let ended = !read.is_ok_and(|count| count > 0);
                if let Some(lines) = &mut from_stderr {
                    state.take(lines, &piece, ended).await;
                }
                if ended {
                    from_stderr = None;
                }
            }
            read = next(reader.as_ref()) => match read {
                Ok(piece) => state.take(&mut from_pipe, &piece, false).await,
                Err(error) => {
                    tracing::warn!(%error, "Firecracker's log is not read any more");
                    break;
                }
            },
        }
    }
    if let Some(reader) = &reader {
        let mut rest = 2 * FIFO_CAPACITY;
        while rest > 0
            && let Ok(Some(piece)) = reader.now()
        {
            rest = rest.saturating_sub(piece.len().max(1));
            state.take(&mut from_pipe, &piece, false).await;
        }
    }
    state.take(&mut from_pipe, b"", true).await;
    if let Some(mut lines) = from_stderr {
        let draining = async {
            loop {
                let mut piece = Vec::with_capacity(READ_SIZE);
                let read = stderr.read_buf(&mut piece).await;
                let ended = !read.is_ok_and(|count| count > 0);
                state.take(&mut lines, &piece, ended).await;
                if ended {
                    break;
                }
            }
        };
        drop(timeout(DRAIN_PATIENCE, draining).await);
    }
    state.relay.finish();
}

async fn next(reader: Option<&FifoReader>) -> io::Result<Vec<u8>> {
    match reader {
        Some(reader) => reader.next().await,
        None => pending().await,
    }
}

struct State {
    relay: Relay,
    log: FirecrackerLog,
    text: OutputWriter,
    file: Option<FileSink>,
    show_level: bool,
}

impl State {
    /// Takes the next piece; `ended` says that no more will come, so that its last line is whole.
    async fn take(&mut self, lines: &mut Lines, piece: &[u8], ended: bool) {
        let dropped = lines.dropped();
        let mut copy = String::new();
        let mut take = |line: &[u8]| {
            let line = LogLine::parse(line);
            self.text.write(format!("{line}\n").as_bytes());
            self.relay.pass_on(&line);
            if self.file.is_some() {
                let line =
                    if self.show_level { line.clone() } else { line.clone().without_level() };
                copy.push_str(&format!("{line}\n"));
            }
            self.log.kept().push(line);
        };
        lines.feed(piece, &mut take);
        if ended {
            lines.finish(&mut take);
        }
        self.log.kept().miss(lines.dropped() - dropped);
        if let Some(file) = &mut self.file
            && !copy.is_empty()
        {
            file.append(copy.into_bytes()).await;
        }
    }
}

#[cfg(test)]
mod tests;
