//! A connection of the host: frames in, frames out, and what waits between.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use smartvm_protocol::{
    AgentFrame, AgentKind, Decoder, Frame, HEADER, HostFrame, MAX_DATA, SessionKind, Step,
};

/// How much is read at once.
const CHUNK: usize = 16 << 10;

/// The host is gone, or what it says is not the protocol: either way nobody is left to talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

/// A connection and how far its frames have come.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: OwnedFd,
    decoder: Decoder<HostFrame>,
    step: Step,
    session: SessionKind,
    /// What was read and not decoded.
    input: Vec<u8>,
    /// What is to be sent, from `sent` on.
    output: Vec<u8>,
    sent: usize,
}

impl Connection {
    /// Of a socket that does not block.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            decoder: Decoder::default(),
            step: Step::Opening,
            // Replaced by what `Hello` says.
            session: SessionKind::Control,
            input: Vec::new(),
            output: Vec::new(),
            sent: 0,
        }
    }

    /// Whether it is for questions and orders.
    pub(crate) fn is_control(&self) -> bool {
        self.session == SessionKind::Control
    }

    /// What to poll: what the host says, and whether it takes more when something waits.
    pub(crate) fn interest(&self) -> PollFd<'_> {
        let out = if self.has_output() { PollFlags::OUT } else { PollFlags::empty() };
        PollFd::new(&self.socket, PollFlags::IN | PollFlags::RDHUP | out)
    }

    /// The next frame, waiting for it at most until `deadline`.
    pub(crate) fn frame(&mut self, deadline: Option<Instant>) -> Result<HostFrame, Gone> {
        loop {
            if let Some(frame) = self.decode()? {
                return Ok(frame);
            }
            // What is answered goes together, as far as the host has said all that it wants to.
            self.finish(deadline)?;
            wait(&self.socket, PollFlags::IN, deadline)?;
            self.read()?;
        }
    }

    /// The frames that have come, without waiting for any.
    pub(crate) fn frames(&mut self) -> Result<Vec<HostFrame>, Gone> {
        self.read()?;
        let mut frames = Vec::new();
        while let Some(frame) = self.decode()? {
            frames.push(frame);
        }
        Ok(frames)
    }

    fn decode(&mut self) -> Result<Option<HostFrame>, Gone> {
        let mut rest = self.input.as_slice();
        let frame = self.decoder.next(&mut rest).map_err(|_| Gone)?;
        let taken = self.input.len() - rest.len();
        self.input.drain(..taken);
        if let Some(frame) = &frame {
            if let HostFrame::Hello(hello) = frame {
                self.session = hello.session;
            }
            self.step = self.step.after_host(frame.kind(), self.session).map_err(|_| Gone)?;
        }
        Ok(frame)
    }

    fn read(&mut self) -> Result<(), Gone> {
        let filled = self.input.len();
        self.input.resize(filled + CHUNK, 0);
        let outcome = recv(&self.socket, &mut self.input[filled..], RecvFlags::empty());
        let length = outcome.as_ref().map_or(0, |(length, _)| *length);
        self.input.truncate(filled + length);
        match outcome {
            Ok((0, _)) => Err(Gone),
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(_) => Err(Gone),
        }
    }

    /// Sends a frame, and waits until the kernel has all of it.
    pub(crate) fn send(&mut self, frame: &AgentFrame) -> Result<(), Gone> {
        self.queue(frame);
        self.finish(None)
    }

    /// Sends what waits to be sent, until `deadline`.
    pub(crate) fn finish(&mut self, deadline: Option<Instant>) -> Result<(), Gone> {
        while !self.flush()? {
            wait(&self.socket, PollFlags::OUT, deadline)?;
        }
        Ok(())
    }

    /// Puts a frame behind what waits to be sent. A frame of ours fits its limit.
    pub(crate) fn queue(&mut self, frame: &AgentFrame) {
        let encoded = frame.encode(&mut self.output);
        debug_assert!(encoded.is_ok(), "{encoded:?}");
    }

    /// Puts a frame of raw bytes there, of at most as many as `fill` finds. Gives what `fill` gave.
    pub(crate) fn queue_data(
        &mut self,
        kind: AgentKind,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        let start = self.output.len();
        self.output.resize(start + HEADER + MAX_DATA as usize, 0);
        let filled = fill(&mut self.output[start + HEADER..]);
        let length = *filled.as_ref().unwrap_or(&0);
        if let (1.., Ok(header)) = (length, kind.header(length)) {
            self.output[start..start + HEADER].copy_from_slice(&header);
            self.output.truncate(start + HEADER + length);
        } else {
            self.output.truncate(start);
        }
        filled
    }

    /// Whether something waits to be sent.
    pub(crate) fn has_output(&self) -> bool {
        self.sent < self.output.len()
    }

    /// Sends what can be sent now; true when nothing is left.
    pub(crate) fn flush(&mut self) -> Result<bool, Gone> {
        while self.has_output() {
            match send(&self.socket, &self.output[self.sent..], SendFlags::NOSIGNAL) {
                Ok(length) => self.sent += length,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(_) => return Err(Gone),
            }
        }
        self.output = Vec::new();
        self.sent = 0;
        Ok(true)
    }

    /// The socket, and what was read beyond the last frame: the session goes on with raw bytes.
    pub(crate) fn into_raw(self) -> (OwnedFd, Vec<u8>) {
        (self.socket, self.input)
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn wait(socket: &OwnedFd, flags: PollFlags, deadline: Option<Instant>) -> Result<(), Gone> {
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    if left == Some(Duration::ZERO) {
        return Err(Gone);
    }
    let timeout = left.and_then(|left| Timespec::try_from(left).ok());
    match poll(&mut [PollFd::new(socket, flags)], timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(_) => Err(Gone),
    }
}
