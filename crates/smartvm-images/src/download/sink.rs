//! Writing and hashing on a thread of its own, while more bytes come.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::part::Part;
use crate::file_lock::FileLock;

/// How many pieces may wait. They hold at most some hundred KiB each.
const WAITING: usize = 16;

/// Takes bytes for a part. Dropped, what it was given is still written, and the lock held until then:
/// nobody else opens the part meanwhile.
#[derive(Debug)]
pub(super) struct Sink {
    bytes: mpsc::Sender<Bytes>,
    writer: JoinHandle<(Part, io::Result<()>)>,
}

impl Sink {
    pub(super) fn new(mut part: Part, lock: Arc<FileLock>) -> Self {
        let (bytes, mut incoming) = mpsc::channel::<Bytes>(WAITING);
        let writer = tokio::task::spawn_blocking(move || {
            let _lock = lock;
            let mut written = Ok(());
            while let (Ok(()), Some(bytes)) = (&written, incoming.blocking_recv()) {
                written = part.append(&bytes);
            }
            (part, written)
        });
        Self { bytes, writer }
    }

    /// Hands over bytes; false when they can no longer be written, which `finish` explains.
    pub(super) async fn write(&self, bytes: Bytes) -> bool {
        self.bytes.send(bytes).await.is_ok()
    }

    /// Waits until all is written.
    pub(super) async fn finish(self) -> (Part, io::Result<()>) {
        drop(self.bytes);
        match self.writer.await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is shutting down, and this task with it.
                Err(_) => std::future::pending().await,
            },
        }
    }
}
