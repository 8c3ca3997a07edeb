//! A copy of the console in a file.

use tokio::task::JoinHandle;

use super::reader::ConsoleReader;
use super::terminal::Console;
use crate::stream::{BoundedFile, FileSink};

/// A copy of the console that is being written to a file.
///
/// When it is dropped, the copying goes on until the console's end.
#[derive(Debug)]
#[must_use = "await its end, or the last words may be missing when the program ends"]
pub struct ConsoleRecording {
    task: JoinHandle<()>,
}

impl Console {
    /// Copies all output, from the oldest byte kept on, into `file`, in the background and until the
    /// console's end. Must be called within a tokio runtime.
    ///
    /// The guest never waits for the file. When the disk is slower than the guest, full or broken, a
    /// part of the output is missing; the file says how much of it when the disk was slow, and the
    /// log warns when it was full.
    pub fn record(&self, file: BoundedFile) -> ConsoleRecording {
        ConsoleRecording { task: tokio::spawn(copy(self.reader(), FileSink::new(file))) }
    }
}

impl ConsoleRecording {
    /// Waits until all of the console was written, which ends with the process. When the
    /// future is dropped, the copying goes on.
    pub async fn finished(self) {
        // It fails only when the runtime is being shut down.
        let _ = self.task.await;
    }
}

async fn copy(mut reader: ConsoleReader, mut file: FileSink) {
    while let Some(chunk) = reader.next().await {
        if chunk.lost > 0 {
            let note = format!("\n[{} bytes of the console were not recorded]\n", chunk.lost);
            file.append(note.into_bytes()).await;
        }
        file.append(chunk.bytes).await;
    }
}

#[cfg(test)]
mod tests {
    use rustix::pipe::{PipeFlags, pipe_with};
    use tokio::net::unix::pipe;

    use super::super::output::Output;
    use super::*;

    #[tokio::test]
    async fn all_of_the_console_is_in_the_file_at_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("console.log");
        let (_reader, input) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let (writer, output) = Output::new(8);
        let console = Console::new(output, pipe::Sender::from_owned_fd(input).unwrap());
        writer.write(b"early ");
        let recording = console.record(BoundedFile::open(&path, 1000).unwrap());
        tokio::task::yield_now().await;
        writer.write(b"0123456789");
        drop(writer);
        recording.finished().await;
        let text = fs_err::read_to_string(&path).unwrap();
        assert!(text.ends_with("23456789"), "{text:?}");
        assert!(text.starts_with("early ") || text.contains(" bytes of the console"), "{text:?}");
    }
}
