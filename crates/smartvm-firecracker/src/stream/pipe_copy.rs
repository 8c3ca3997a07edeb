//! A named pipe whose content goes to a file.

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{BoundedFile, Fifo, FifoReader, FileSink};

/// A copy of all that is written to a [`Fifo`], which is being written to a file. What the disk is too slow
/// for stays in the pipe, and then whoever writes loses it.
///
/// It ends when it is dropped, with what has come by then.
#[derive(Debug)]
pub struct PipeCopy {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl PipeCopy {
    /// Begins to copy. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the pipe cannot be watched.
    pub fn begin(fifo: &Fifo, file: BoundedFile) -> std::io::Result<Self> {
        let reader = fifo.reader()?;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(copy(reader, FileSink::new(file), stopped));
        Ok(Self { stop, task })
    }

    /// Writes what is in the pipe at this moment, and ends. When the future is dropped, that goes on.
    pub async fn finished(self) {
        drop(self.stop);
        // It fails only when the runtime is being shut down.
        let _ = self.task.await;
    }
}

async fn copy(reader: FifoReader, mut file: FileSink, mut stopped: oneshot::Receiver<()>) {
    loop {
        let piece = tokio::select! {
            biased;
            _ = &mut stopped => break,
            piece = reader.next() => piece,
        };
        match piece {
            Ok(piece) => file.append(piece).await,
            Err(error) => {
                tracing::warn!(%error, "a pipe cannot be read any more");
                return;
            }
        }
    }
    // At most what the pipe holds: nobody writes any more, or is not heard any more.
    let mut left = super::FIFO_CAPACITY;
    while let Ok(Some(piece)) = reader.now()
        && left > 0
    {
        left = left.saturating_sub(piece.len());
        file.append(piece).await;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn what_is_written_without_end_is_in_two_files_of_the_limit_at_most() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, path) = (dir.path().join("pipe"), dir.path().join("serial"));
        let fifo = Fifo::create(pipe.as_path(), "pipe").unwrap();
        let copy = PipeCopy::begin(&fifo, BoundedFile::open(&path, 10_000).unwrap()).unwrap();
        let writing = tokio::task::spawn_blocking(move || {
            let mut writer = fs_err::OpenOptions::new().write(true).open(pipe).unwrap();
            for _ in 0..1000 {
                writer.write_all(&[b'x'; 1000]).unwrap();
            }
            writer.write_all(b"the end").unwrap();
        });
        writing.await.unwrap();
        copy.finished().await;
        let mut most = 0;
        for entry in fs_err::read_dir(dir.path()).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                most += entry.metadata().unwrap().len();
            }
        }
        assert!(most <= 20_000, "{most} bytes");
        assert!(fs_err::read(&path).unwrap().ends_with(b"the end"));
    }
}
