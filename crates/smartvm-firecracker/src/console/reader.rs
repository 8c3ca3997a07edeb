//! Following the console's output.

use super::output::Output;

/// Reads the console from the oldest byte kept on. Readers do not disturb each other.
#[derive(Debug)]
pub struct ConsoleReader {
    output: Output,
    /// The offset of the next byte to hand out.
    next: u64,
}

/// A piece of the console's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleChunk {
    /// How many bytes right before these were overwritten before they were read.
    pub lost: u64,
    /// What the guest wrote; not necessarily text, nor whole lines. Empty only when bytes were lost
    /// to a console that keeps none.
    pub bytes: Vec<u8>,
}

impl ConsoleReader {
    pub(super) fn new(output: Output) -> Self {
        let next = output.ring().start();
        Self { output, next }
    }

    /// Waits for more output. `None` when the process' output is closed and all of it was read.
    ///
    /// Cancel safe: when the future is dropped, nothing is lost.
    pub async fn next(&mut self) -> Option<ConsoleChunk> {
        loop {
            if let Some(chunk) = self.take() {
                return Some(chunk);
            }
            if !self.output.grew().await {
                // What came between the look above and the end.
                return self.take();
            }
        }
    }

    fn take(&mut self) -> Option<ConsoleChunk> {
        let (lost, bytes) = self.output.ring().read_from(self.next);
        self.next += lost + bytes.len() as u64;
        (lost > 0 || !bytes.is_empty()).then_some(ConsoleChunk { lost, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text(reader: &mut ConsoleReader) -> Option<String> {
        reader.next().await.map(|chunk| String::from_utf8(chunk.bytes).unwrap())
    }

    #[tokio::test]
    async fn a_reader_gets_all_that_was_written_and_then_the_end() {
        let (writer, output) = Output::new(64);
        writer.write(b"one ");
        let mut early = ConsoleReader::new(output.clone());
        writer.write(b"two ");
        let mut late = ConsoleReader::new(output);
        assert_eq!(text(&mut early).await.as_deref(), Some("one two "));
        writer.write(b"three");
        drop(writer);
        assert_eq!(text(&mut early).await.as_deref(), Some("three"));
        assert_eq!(text(&mut early).await, None);
        assert_eq!(text(&mut late).await.as_deref(), Some("one two three"));
        assert_eq!(text(&mut late).await, None);
        assert_eq!(text(&mut late).await, None, "the end stays the end");
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken_by_output() {
        let (writer, output) = Output::new(64);
        let mut reader = ConsoleReader::new(output);
        let waiting = tokio::spawn(async move { text(&mut reader).await });
        tokio::task::yield_now().await;
        writer.write(b"at last");
        assert_eq!(waiting.await.unwrap().as_deref(), Some("at last"));
    }

    #[tokio::test]
    async fn a_reader_of_a_console_that_keeps_nothing_learns_what_it_missed() {
        let (writer, output) = Output::new(0);
        let mut reader = ConsoleReader::new(output);
        writer.write(b"gone");
        drop(writer);
        assert_eq!(reader.next().await, Some(ConsoleChunk { lost: 4, bytes: Vec::new() }));
        assert_eq!(reader.next().await, None);
    }
}
