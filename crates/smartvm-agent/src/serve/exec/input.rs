//! What a program reads, on its way from the host.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use smartvm_protocol::STDIN_WINDOW;

use super::terminal::END_OF_INPUT;

/// How much may be read before the host is told that it may send as much again.
const CREDIT: u32 = STDIN_WINDOW / 4;

/// The host has sent more than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BeyondWindow;

/// A program's input. It holds at most a window of it.
#[derive(Debug)]
pub(crate) struct Input {
    /// None once the program cannot read any more, or was given the end.
    sink: Option<OwnedFd>,
    is_terminal: bool,
    pending: VecDeque<u8>,
    has_end: bool,
    /// Read by the program, and not told to the host.
    read: u32,
}

impl Input {
    pub(crate) fn new(sink: Option<OwnedFd>, is_terminal: bool) -> Self {
        Self { sink, is_terminal, pending: VecDeque::new(), has_end: false, read: 0 }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), BeyondWindow> {
        if self.pending.len() + bytes.len() + self.read as usize > STDIN_WINDOW as usize {
            return Err(BeyondWindow);
        }
        if self.sink.is_some() {
            self.pending.extend(bytes);
        } else {
            // Nobody will read it: it is as good as read.
            self.note_read(bytes.len());
        }
        self.write();
        Ok(())
    }

    /// No more comes.
    pub(crate) fn end(&mut self) {
        self.has_end = true;
        if self.is_terminal && self.sink.is_some() {
            self.pending.push_back(END_OF_INPUT);
        }
        self.write();
    }

    /// What to poll while something waits to be written.
    pub(crate) fn sink(&self) -> Option<&OwnedFd> {
        self.sink.as_ref().filter(|_| !self.pending.is_empty())
    }

    /// Writes what the program has room for.
    pub(crate) fn write(&mut self) {
        while let (Some(sink), false) = (&self.sink, self.pending.is_empty()) {
            match rustix::io::write(sink, self.pending.as_slices().0) {
                Ok(length) => {
                    self.pending.drain(..length);
                    self.note_read(length);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.close(),
            }
        }
        if self.has_end && !self.is_terminal {
            self.close();
        }
    }

    /// The program does not read any more.
    pub(crate) fn close(&mut self) {
        self.sink = None;
        let rest = std::mem::take(&mut self.pending);
        self.note_read(rest.len());
    }

    /// What the host may send again, when it is worth a word.
    pub(crate) fn take_credit(&mut self) -> Option<u32> {
        (self.read >= CREDIT).then(|| std::mem::take(&mut self.read))
    }

    fn note_read(&mut self, length: usize) {
        self.read += u32::try_from(length).unwrap_or(u32::MAX).min(STDIN_WINDOW);
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::OFlags;
    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;

    fn pipe() -> (OwnedFd, OwnedFd) {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        rustix::fs::fcntl_setfl(&writer, OFlags::WRONLY | OFlags::NONBLOCK).unwrap();
        (reader, writer)
    }

    #[test]
    fn a_host_that_sends_more_than_it_may_is_told_apart() {
        let (_reader, writer) = pipe();
        let mut input = Input::new(Some(writer), false);
        // A pipe takes as much as a window; the second window waits here.
        let window = vec![0; STDIN_WINDOW as usize];
        input.push(&window).unwrap();
        assert_eq!(input.take_credit(), Some(STDIN_WINDOW));
        input.push(&window).unwrap();
        assert!(input.sink().is_some());
        assert_eq!(input.push(b"x"), Err(BeyondWindow));
    }

    #[test]
    fn what_nobody_reads_is_given_back_to_the_host() {
        let (reader, writer) = pipe();
        let mut input = Input::new(Some(writer), false);
        drop(reader);
        input.push(&[0; 20_000]).unwrap();
        assert!(input.sink().is_none());
        assert_eq!(input.take_credit(), Some(20_000));
        input.push(&[0; 10]).unwrap();
        assert_eq!(input.take_credit(), None);
    }
}
