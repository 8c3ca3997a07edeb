//! Attributes: what a netlink message is made of after its header.

use std::fmt;

use zeroize::Zeroize;

/// Set in the kind of an attribute that holds others.
const NESTED: u16 = 1 << 15;
/// What is left of the kind without that and the flag for byte order.
const KIND: u16 = 0x3fff;
/// Length and kind.
const HEADER: usize = 4;

/// Writes attributes, each padded to four bytes as the kernel wants it.
///
/// `Debug` shows how long they are only: keys may be among them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AttributeWriter {
    bytes: Vec<u8>,
}

impl AttributeWriter {
    /// The same with room for `capacity` bytes, so that growing leaves no copy of them behind.
    pub(super) fn with_room(header: &[u8], capacity: usize) -> Self {
        let mut writer = Self { bytes: Vec::with_capacity(header.len() + capacity) };
        writer.bytes.extend_from_slice(header);
        writer.pad();
        writer
    }

    /// Overwrites what was written.
    pub(super) fn overwrite(&mut self) {
        self.bytes.zeroize();
    }

    /// Begins with bytes that are no attribute, such as the header of a protocol.
    #[must_use]
    pub fn after(header: &[u8]) -> Self {
        let mut writer = Self { bytes: header.to_vec() };
        writer.pad();
        writer
    }

    /// What was written.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// An attribute of plain bytes.
    pub fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.begin(kind, value.len());
        self.bytes.extend_from_slice(value);
        self.pad();
        self
    }

    /// A flag: an attribute without a value.
    pub fn flag(&mut self, kind: u16) -> &mut Self {
        self.bytes(kind, &[])
    }

    /// A text with its final zero.
    pub fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        self.begin(kind, value.len() + 1);
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
        self.pad();
        self
    }

    /// One byte.
    pub fn u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.bytes(kind, &[value])
    }

    /// Two bytes in the host's order, as routing takes them.
    pub fn u16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Four bytes in the host's order, as routing takes them.
    pub fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Four bytes in the network's order, as netfilter takes them.
    pub fn be32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Eight bytes in the network's order, as netfilter takes them.
    pub fn be64(&mut self, kind: u16, value: u64) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// An attribute of attributes, which `fill` writes.
    ///
    /// # Panics
    /// When they are longer than an attribute can be, 65,535 bytes: that is for the caller to divide.
    pub fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.begin(kind | NESTED, 0);
        fill(self);
        let length = u16::try_from(self.bytes.len() - start).expect("an attribute is below 64 KiB");
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    fn begin(&mut self, kind: u16, length: usize) {
        let length = u16::try_from(HEADER + length).expect("an attribute is below 64 KiB");
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

impl fmt::Debug for AttributeWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AttributeWriter({} bytes)", self.bytes.len())
    }
}

/// Reads attributes: each as its kind and its value. What is cut off is left out.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// The attributes in `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether the next attribute says of itself that it holds others.
    #[must_use]
    pub fn next_is_nested(&self) -> bool {
        self.rest.get(2..4).is_some_and(|it| u16::from_ne_bytes([it[0], it[1]]) & NESTED != 0)
    }

    /// The value of the first attribute of a kind.
    #[must_use]
    pub fn find(mut self, kind: u16) -> Option<&'a [u8]> {
        self.find_map(|(found, value)| (found == kind).then_some(value))
    }

    /// The attributes within the first attribute of a kind; none when there is no such attribute.
    #[must_use]
    pub fn within(self, kind: u16) -> Self {
        Self::new(self.find(kind).unwrap_or_default())
    }

    /// A text, without its final zero.
    #[must_use]
    pub fn text(self, kind: u16) -> Option<&'a str> {
        let value = self.find(kind)?;
        std::str::from_utf8(value.strip_suffix(&[0]).unwrap_or(value)).ok()
    }

    /// Four bytes in the host's order.
    #[must_use]
    pub fn u32(self, kind: u16) -> Option<u32> {
        self.find(kind)?.try_into().ok().map(u32::from_ne_bytes)
    }

    /// Four bytes in the network's order.
    #[must_use]
    pub fn be32(self, kind: u16) -> Option<u32> {
        self.find(kind)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// Eight bytes in the network's order.
    #[must_use]
    pub fn be64(self, kind: u16) -> Option<u64> {
        self.find(kind)?.try_into().ok().map(u64::from_be_bytes)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (header, _) = self.rest.split_at_checked(HEADER)?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & KIND;
        if length < HEADER {
            self.rest = &[];
            return None;
        }
        let (whole, _) = self.rest.split_at_checked(length)?;
        self.rest = self.rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, &whole[HEADER..]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let mut writer = AttributeWriter::after(&[9; 3]);
        writer.text(1, "svbr0").u32(2, 7).flag(3).nested(4, |inner| {
            inner.u8(1, 5).be32(2, 6);
        });
        assert_eq!(writer.as_bytes().len() % 4, 0);
        let read = Attributes::new(&writer.as_bytes()[4..]);
        assert_eq!(read.text(1), Some("svbr0"));
        assert_eq!(read.u32(2), Some(7));
        assert_eq!(read.find(3), Some(&[][..]));
        assert_eq!(read.within(4).find(1), Some(&[5][..]));
        assert_eq!(read.within(4).be32(2), Some(6));
        assert_eq!(read.find(5), None);
        assert_eq!(read.count(), 4);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            for (_, value) in Attributes::new(&bytes) {
                let _ = Attributes::new(value).count();
            }
        }
    }
}
