//! A stream kept in a ring, and the pump that fills it.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::unix::pipe;
use tokio::sync::watch;

use super::ring::Ring;

/// Read at once: a quarter of what a pipe holds.
const READ_SIZE: usize = 16 * 1024;

/// The kept end of a stream; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    ring: Arc<Mutex<Ring>>,
    /// The offset behind the last byte written; closed when no more will come.
    end: watch::Receiver<u64>,
}

/// The writing side of an [`Output`]. Dropping it closes the output.
#[derive(Debug)]
pub(crate) struct OutputWriter {
    ring: Arc<Mutex<Ring>>,
    end: watch::Sender<u64>,
}

impl Output {
    pub(crate) fn new(capacity: usize) -> (OutputWriter, Self) {
        let ring = Arc::new(Mutex::new(Ring::new(capacity)));
        let (sender, receiver) = watch::channel(0);
        (OutputWriter { ring: Arc::clone(&ring), end: sender }, Self { ring, end: receiver })
    }

    pub(crate) fn ring(&self) -> MutexGuard<'_, Ring> {
        lock(&self.ring)
    }

    /// Waits until there is more than this clone has seen. False when no more will come.
    pub(super) async fn grew(&mut self) -> bool {
        self.end.changed().await.is_ok()
    }

    /// Whether nothing was forgotten yet, and at most `max` bytes are kept.
    pub(crate) fn is_within(&self, max: usize) -> bool {
        let ring = self.ring();
        ring.start() == 0 && ring.end() <= max as u64
    }

    /// How many bytes are kept.
    pub(crate) fn kept(&self) -> usize {
        let ring = self.ring();
        usize::try_from(ring.end() - ring.start()).unwrap_or(usize::MAX)
    }

    /// The last `max` bytes as text.
    pub(crate) fn tail_text(&self, max: usize) -> String {
        String::from_utf8_lossy(&self.ring().tail(max)).into_owned()
    }
}

impl OutputWriter {
    pub(crate) fn write(&self, bytes: &[u8]) {
        let end = {
            let mut ring = lock(&self.ring);
            ring.write(bytes);
            ring.end()
        };
        self.end.send_replace(end);
    }
}

/// Moves all that comes out of `pipe` into `output`, until its other side is closed.
pub(crate) async fn pump(pipe: pipe::Receiver, output: OutputWriter) {
    while pipe.readable().await.is_ok() {
        if !drain(&pipe, &output) {
            break;
        }
    }
}

/// Reads what there is, once: a guest that never pauses must not keep other tasks from running.
/// False when no more will come. The buffer lives on the stack, as no wait happens meanwhile.
fn drain(pipe: &pipe::Receiver, output: &OutputWriter) -> bool {
    let mut buffer = [0; READ_SIZE];
    match pipe.try_read(&mut buffer) {
        Ok(0) => false,
        Ok(n) => {
            output.write(&buffer[..n]);
            true
        }
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
    }
}

fn lock(ring: &Mutex<Ring>) -> MutexGuard<'_, Ring> {
    // A ring is whole after each of its operations: a panic elsewhere left it usable.
    ring.lock().unwrap_or_else(PoisonError::into_inner)
}
