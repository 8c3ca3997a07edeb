//! Messages: what is sent to the kernel, and what it answers.

use std::fmt;

use zeroize::Zeroize;

use super::attribute::{AttributeWriter, Attributes};

/// Length, kind, flags, sequence, port.
pub(super) const HEADER: usize = 16;

/// `NLM_F_REQUEST`, set on all that is sent.
const REQUEST: u16 = 1;

/// One request, without what the socket adds: flags for acknowledgement and the sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    kind: u16,
    flags: u16,
    body: AttributeWriter,
    pub(super) secret: bool,
}

impl Request {
    /// A request of a kind, such as `RTM_NEWLINK`, with flags such as `NLM_F_CREATE` and the header
    /// of its protocol, such as an `ifinfomsg`.
    #[must_use]
    pub fn new(kind: u16, flags: u16, header: &[u8]) -> Self {
        Self { kind, flags, body: AttributeWriter::after(header), secret: false }
    }

    /// A request that has keys in it, or is answered with keys: it, its answer and what the socket
    /// needs for them are overwritten after use. `room` is how long its attributes are at most.
    #[must_use]
    pub fn with_secrets(kind: u16, flags: u16, header: &[u8], room: usize) -> Self {
        Self { kind, flags, body: AttributeWriter::with_room(header, room), secret: true }
    }

    /// How long the message is.
    pub(super) fn len(&self) -> usize {
        HEADER + self.body.as_bytes().len()
    }

    /// Where its attributes are written to.
    pub fn attributes(&mut self) -> &mut AttributeWriter {
        &mut self.body
    }

    /// The request as the kernel would send it.
    #[cfg(test)]
    pub(crate) fn read_back(&self) -> Message {
        let mut bytes = Vec::new();
        self.write(0, 1, &mut bytes);
        Message::divide(&bytes).remove(0)
    }

    /// Adds the message to `out`, and returns nothing of it.
    pub(super) fn write(&self, flags: u16, sequence: u32, out: &mut Vec<u8>) {
        let body = self.body.as_bytes();
        let length = u32::try_from(HEADER + body.len()).expect("a request is below 4 GiB");
        out.extend_from_slice(&length.to_ne_bytes());
        out.extend_from_slice(&self.kind.to_ne_bytes());
        out.extend_from_slice(&(self.flags | flags | REQUEST).to_ne_bytes());
        out.extend_from_slice(&sequence.to_ne_bytes());
        out.extend_from_slice(&0_u32.to_ne_bytes());
        out.extend_from_slice(body);
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if self.secret {
            self.body.overwrite();
        }
    }
}

/// One message of the kernel.
///
/// `Debug` shows how long it is only: keys may be in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) body: Vec<u8>,
    pub(super) secret: bool,
}

impl Message {
    /// What it is, such as `RTM_NEWLINK`.
    #[must_use]
    pub const fn kind(&self) -> u16 {
        self.kind
    }

    /// The first `length` bytes, which are the protocol's header; shorter when cut off.
    #[must_use]
    pub fn header(&self, length: usize) -> &[u8] {
        self.body.get(..length).unwrap_or(&self.body)
    }

    /// The attributes after a header of `length` bytes.
    #[must_use]
    pub fn attributes(&self, length: usize) -> Attributes<'_> {
        Attributes::new(self.body.get(length.next_multiple_of(4)..).unwrap_or_default())
    }

    /// Divides what was received. What is cut off is left out.
    pub(super) fn divide(mut bytes: &[u8]) -> Vec<Self> {
        let mut messages = Vec::new();
        while let Some(header) = bytes.first_chunk::<HEADER>() {
            let word = |at: usize| {
                u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
            };
            let half = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
            let length = word(0) as usize;
            let Some(whole) = bytes.get(..length).filter(|whole| whole.len() >= HEADER) else {
                break;
            };
            let body = whole[HEADER..].to_vec();
            messages.push(Self {
                kind: half(4),
                flags: half(6),
                sequence: word(8),
                body,
                secret: false,
            });
            bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        messages
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        if self.secret {
            self.body.zeroize();
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({}, {} bytes)", self.kind, self.body.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_has_its_length_kind_and_sequence() {
        let mut request = Request::new(16, 0x400, &[1, 2, 3, 4]);
        request.attributes().text(3, "tap");
        let mut bytes = Vec::new();
        request.write(4, 9, &mut bytes);
        let [read] = &Message::divide(&bytes)[..] else { panic!("one message") };
        assert_eq!((read.kind, read.flags, read.sequence), (16, 0x405, 9));
        assert_eq!(read.header(4), [1, 2, 3, 4]);
        assert_eq!(read.attributes(4).text(3), Some("tap"));
    }

    #[test]
    fn nothing_of_a_message_is_shown() {
        let mut request = Request::with_secrets(16, 0, &[], 64);
        request.attributes().text(3, "key");
        let mut bytes = Vec::new();
        request.write(0, 1, &mut bytes);
        let shown = format!("{request:?} {:?}", Message::divide(&bytes));
        assert!(!shown.contains("107") && !shown.contains("key"), "{shown}");
        request.body.overwrite();
        assert!(request.body.as_bytes().is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_division_panic(bytes: Vec<u8>) {
            let _ = Message::divide(&bytes);
        }
    }
}
