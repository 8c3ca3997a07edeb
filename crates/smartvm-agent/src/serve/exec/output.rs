//! What a program writes, on its way to the host.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use smartvm_protocol::{AgentKind, shared::Stream};

use crate::serve::connection::Connection;

/// How much of each output of a kept program is remembered.
const RING: usize = 256 << 10;

/// How much of a kept program's output may wait for an attached host that reads slowly.
const AHEAD: u64 = 64 << 10;

/// How much is read at once into a ring.
const CHUNK: usize = 16 << 10;

/// The last bytes of an output, by their place in all of it.
#[derive(Debug, Default)]
struct Ring {
    bytes: VecDeque<u8>,
    end: u64,
}

impl Ring {
    fn start(&self) -> u64 {
        self.end - self.bytes.len() as u64
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.end += bytes.len() as u64;
        let beyond = self.bytes.len().saturating_sub(RING);
        self.bytes.drain(..beyond);
    }

    /// Fills `into` with what stands at `from`, which is not before the start.
    fn copy(&self, from: u64, into: &mut [u8]) -> usize {
        let skip = usize::try_from(from - self.start()).unwrap_or(usize::MAX);
        let (first, second) = self.bytes.as_slices();
        let parts = [
            first.get(skip..).unwrap_or_default(),
            second.get(skip.saturating_sub(first.len())..).unwrap_or_default(),
        ];
        let mut length = 0;
        for part in parts {
            let some = part.len().min(into.len() - length);
            into[length..length + some].copy_from_slice(&part[..some]);
            length += some;
        }
        length
    }
}

/// One output of a program.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) stream: Stream,
    /// None once nobody can write to it any more.
    source: Option<OwnedFd>,
    /// Of a kept program.
    ring: Option<Ring>,
    /// How much the host has been sent.
    sent: u64,
    /// How much of what the program had written when it ended is still to be read.
    owed: u64,
    last_read: Option<Instant>,
}

impl Output {
    pub(crate) fn new(stream: Stream, source: OwnedFd, keep: bool) -> Self {
        let ring = keep.then(Ring::default);
        Self { stream, source: Some(source), ring, sent: 0, owed: 0, last_read: None }
    }

    /// Keeps what comes from now on.
    pub(crate) fn keep(&mut self) {
        let end = self.sent;
        self.ring.get_or_insert_with(|| Ring { bytes: VecDeque::new(), end });
    }

    /// What to poll, when more can be taken.
    pub(crate) fn source(&self, attached: bool) -> Option<&OwnedFd> {
        let full = self.ring.as_ref().is_some_and(|ring| attached && ring.end - self.sent >= AHEAD);
        self.source.as_ref().filter(|_| !full)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.source.is_some()
    }

    /// Stops reading it, whoever still writes.
    pub(crate) fn close(&mut self) {
        self.source = None;
    }

    /// Reads some, and hands it on to the host if one is there and no ring stands between.
    pub(crate) fn read(&mut self, connection: Option<&mut Connection>) {
        let Some(source) = &self.source else { return };
        let outcome = match (&mut self.ring, connection) {
            (Some(ring), _) => {
                let mut chunk = [0; CHUNK];
                let length = rustix::io::read(source, &mut chunk);
                ring.push(&chunk[..*length.as_ref().unwrap_or(&0)]);
                length
            }
            (None, Some(connection)) => {
                let kind = kind(self.stream);
                let length = connection.queue_data(kind, |buffer| rustix::io::read(source, buffer));
                self.sent += *length.as_ref().unwrap_or(&0) as u64;
                length
            }
            (None, None) => rustix::io::read(source, &mut [0; CHUNK]),
        };
        match outcome {
            // A terminal that nobody has open any more says so by an error.
            Ok(0) | Err(Errno::IO) => self.source = None,
            Ok(length) => {
                self.owed = self.owed.saturating_sub(length as u64);
                self.last_read = Some(Instant::now());
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.source = None,
        }
    }

    /// Hands on to the host what the ring has for it.
    pub(crate) fn send(&mut self, connection: &mut Connection) {
        let Some(ring) = &self.ring else { return };
        let from = self.sent;
        if let Ok(length) =
            connection.queue_data(kind(self.stream), |buffer| Ok(ring.copy(from, buffer)))
        {
            self.sent += length as u64;
        }
    }

    /// Whether the ring has something for the host.
    pub(crate) fn has_more(&self) -> bool {
        self.ring.as_ref().is_some_and(|ring| self.sent < ring.end)
    }

    /// Goes on for another host from a place in all of the output; gives how much of it is lost.
    pub(crate) fn go_on_from(&mut self, place: u64) -> u64 {
        let Some(ring) = &self.ring else { return 0 };
        let place = place.min(ring.end);
        self.sent = place.max(ring.start());
        self.sent - place
    }

    /// The program has ended: what is in the pipe now is all of its own.
    pub(crate) fn note_end(&mut self) {
        self.owed = self
            .source
            .as_ref()
            .map_or(0, |source| rustix::io::ioctl_fionread(source).unwrap_or(0));
        self.last_read = Some(Instant::now());
    }

    /// How long until it counts as silent, if it is open and owes nothing.
    pub(crate) fn until_silent(&self, silence: Duration, now: Instant) -> Option<Duration> {
        if self.owed > 0 {
            return None;
        }
        self.last_read.map(|last| (last + silence).saturating_duration_since(now))
    }

    pub(crate) fn owes(&self) -> bool {
        self.owed > 0
    }
}

fn kind(stream: Stream) -> AgentKind {
    match stream {
        Stream::Stdout => AgentKind::Stdout,
        Stream::Stderr => AgentKind::Stderr,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_keeps_the_last_bytes_and_knows_their_places() {
        let mut ring = Ring::default();
        let value = |place: u64| u8::try_from(place / 4000 % 251).unwrap();
        for number in 0..1000 {
            ring.push(&[value(number * 4000); 4000]);
        }
        assert_eq!((ring.end, ring.start()), (4_000_000, 4_000_000 - RING as u64));
        let mut some = [0; 4096];
        let from = 3_990_000;
        assert_eq!(ring.copy(from, &mut some), 4096);
        let expected: Vec<u8> = (from..from + 4096).map(value).collect();
        assert_eq!(&some[..], expected);
        assert_eq!(ring.copy(ring.end - 10, &mut some), 10);
        assert_eq!(ring.copy(ring.end, &mut some), 0);
    }
}
