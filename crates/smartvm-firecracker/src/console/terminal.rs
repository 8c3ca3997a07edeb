//! The console as its users see it.

use std::io;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::Mutex;

use super::output::Output;
use super::reader::ConsoleReader;

/// The guest's serial console. Clones are the same console.
///
/// It keeps the last bytes of output, as many as
/// [`LaunchSpec::console_capacity`](crate::LaunchSpec::console_capacity) says, whether somebody
/// reads or not: the guest never blocks on its output, and never takes more memory than that.
/// It outlives the process, so that the last words of a guest can be read after its end.
#[derive(Debug, Clone)]
pub struct Console {
    output: Output,
    input: Arc<Mutex<pipe::Sender>>,
}

impl Console {
    pub(crate) fn new(output: Output, input: pipe::Sender) -> Self {
        Self { output, input: Arc::new(Mutex::new(input)) }
    }

    pub(crate) const fn output(&self) -> &Output {
        &self.output
    }

    /// A reader that begins with the oldest byte kept.
    #[must_use]
    pub fn reader(&self) -> ConsoleReader {
        ConsoleReader::new(self.output.clone())
    }

    /// The last `max` bytes of output at most, without waiting.
    #[must_use]
    pub fn tail(&self, max: usize) -> Vec<u8> {
        self.output.ring().tail(max)
    }

    /// Types `bytes` into the guest.
    ///
    /// Waits while the guest does not read: Firecracker and the pipe to it hold some 64 KiB. Not
    /// cancel safe: a dropped write may have typed a part.
    ///
    /// # Errors
    /// `BrokenPipe` when the process has ended.
    pub async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.input.lock().await.write_all(bytes).await
    }
}
