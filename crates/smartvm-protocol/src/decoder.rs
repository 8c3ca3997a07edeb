//! Frames out of bytes that come in any pieces.

use std::marker::PhantomData;

use crate::frame::{Frame, HEADER, MAX_DATA};
use crate::message::PayloadError;

/// Why what comes is not the protocol. The connection is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A kind that the other side has not, in any generation known here.
    #[error("failed to read a frame: no frame of that side has the kind {0}")]
    UnknownKind(u8),
    /// A payload that says to be longer than its kind may be. None of it was read.
    #[error("failed to read a frame of kind {kind}: {length} bytes are more than {limit}")]
    TooLong {
        /// The kind.
        kind: u8,
        /// What it says to have.
        length: u32,
        /// What it may have.
        limit: u32,
    },
    /// A payload that is not what its kind says.
    #[error("failed to read a frame")]
    Payload(#[source] PayloadError),
}

/// Takes bytes and gives frames: [`HostFrame`](crate::HostFrame)s in the agent, [`AgentFrame`](crate::AgentFrame)s in
/// the host.
///
/// It holds at most one unfinished frame, and of that only what has come.
#[derive(Debug)]
pub struct Decoder<F> {
    header: [u8; HEADER],
    header_length: usize,
    payload: Vec<u8>,
    /// Set by what cannot be read.
    broken: Option<DecodeError>,
    frames: PhantomData<fn() -> F>,
}

impl<F: Frame> Default for Decoder<F> {
    fn default() -> Self {
        Self {
            header: [0; HEADER],
            header_length: 0,
            payload: Vec::new(),
            broken: None,
            frames: PhantomData,
        }
    }
}

impl<F: Frame> Decoder<F> {
    /// Takes bytes off the front of `bytes` until a frame is whole, and gives it. `None` when all are taken and more are
    /// needed. What stands behind a frame is left in `bytes`: more frames, or the raw bytes of a forwarded stream.
    ///
    /// # Errors
    /// When it is not the protocol; from then on always.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<F>, DecodeError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let frame = self.advance(bytes);
        if let Err(error) = &frame {
            self.broken = Some(*error);
            self.payload = Vec::new();
        }
        frame
    }

    /// Whether a frame has begun and is not whole.
    pub fn is_within_frame(&self) -> bool {
        self.header_length > 0
    }

    fn advance(&mut self, bytes: &mut &[u8]) -> Result<Option<F>, DecodeError> {
        let missing = HEADER - self.header_length;
        let part = take(bytes, missing);
        self.header[self.header_length..self.header_length + part.len()].copy_from_slice(part);
        self.header_length += part.len();
        if self.header_length < HEADER {
            return Ok(None);
        }
        let [a, b, c, d, kind] = self.header;
        let length = u32::from_le_bytes([a, b, c, d]);
        let limit = F::limit(kind).ok_or(DecodeError::UnknownKind(kind))?;
        if length > limit {
            return Err(DecodeError::TooLong { kind, length, limit });
        }
        // It cannot be more than the limit.
        let length = length as usize;
        if self.payload.capacity() == 0 {
            self.payload.reserve_exact(length.min(MAX_DATA as usize).min(bytes.len().max(SOME)));
        }
        self.payload.extend_from_slice(take(bytes, length - self.payload.len()));
        if self.payload.len() < length {
            return Ok(None);
        }
        self.header_length = 0;
        let payload = std::mem::take(&mut self.payload);
        F::receive(kind, payload).map(Some).map_err(DecodeError::Payload)
    }
}

/// What is set aside for a payload of which nothing has come.
const SOME: usize = 4 << 10;

fn take<'a>(bytes: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(most.min(bytes.len()));
    *bytes = rest;
    taken
}

#[cfg(test)]
mod tests;
