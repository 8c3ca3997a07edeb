//! The last bytes of an endless stream.

use std::collections::VecDeque;

/// The last `capacity` bytes written, each known by its offset from the start of the stream.
///
/// Memory is taken as bytes come and never exceeds the capacity.
#[derive(Debug)]
pub(crate) struct Ring {
    bytes: VecDeque<u8>,
    capacity: usize,
    /// How many bytes were ever written.
    end: u64,
}

impl Ring {
    pub(crate) const fn new(capacity: usize) -> Self {
        Self { bytes: VecDeque::new(), capacity, end: 0 }
    }

    /// The offset behind the last byte written.
    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    /// The offset of the oldest byte kept.
    pub(crate) fn start(&self) -> u64 {
        self.end - self.bytes.len() as u64
    }

    /// Appends `new`, forgetting the oldest bytes beyond the capacity.
    pub(crate) fn write(&mut self, new: &[u8]) {
        self.end += new.len() as u64;
        let kept = &new[new.len().saturating_sub(self.capacity)..];
        let excess = (self.bytes.len() + kept.len()).saturating_sub(self.capacity);
        self.bytes.drain(..excess);
        self.reserve(kept.len());
        self.bytes.extend(kept);
    }

    /// The bytes kept from offset `from` on, and how many before them were forgotten.
    pub(crate) fn read_from(&self, from: u64) -> (u64, Vec<u8>) {
        let lost = self.start().saturating_sub(from);
        let skip = usize::try_from((from + lost) - self.start()).unwrap_or(usize::MAX);
        (lost, self.copy_after(skip))
    }

    /// The last `max` bytes kept.
    pub(crate) fn tail(&self, max: usize) -> Vec<u8> {
        self.copy_after(self.bytes.len().saturating_sub(max))
    }

    fn copy_after(&self, skip: usize) -> Vec<u8> {
        let skip = skip.min(self.bytes.len());
        let mut copy = Vec::with_capacity(self.bytes.len() - skip);
        let (front, back) = self.bytes.as_slices();
        copy.extend_from_slice(&front[skip.min(front.len())..]);
        copy.extend_from_slice(&back[skip.saturating_sub(front.len())..]);
        copy
    }

    /// Grows by doubling, as a deque does on its own, but never beyond the capacity.
    fn reserve(&mut self, additional: usize) {
        let needed = self.bytes.len() + additional;
        if needed > self.bytes.capacity() {
            let target = needed.max(self.bytes.capacity() * 2).min(self.capacity);
            self.bytes.reserve_exact(target - self.bytes.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reader_that_fell_behind_is_told_how_much_it_missed() {
        let mut ring = Ring::new(4);
        ring.write(b"abcdef");
        assert_eq!(ring.read_from(0), (2, b"cdef".to_vec()));
        assert_eq!(ring.read_from(1), (1, b"cdef".to_vec()));
        assert_eq!(ring.read_from(4), (0, b"ef".to_vec()));
        assert_eq!(ring.read_from(6), (0, Vec::new()));
    }

    #[test]
    fn a_capacity_of_nothing_keeps_nothing_and_still_counts() {
        let mut ring = Ring::new(0);
        ring.write(b"abc");
        assert_eq!((ring.end(), ring.read_from(1)), (3, (2, Vec::new())));
    }

    proptest! {
        #[test]
        fn it_is_the_end_of_what_was_written_in_bounded_memory(
            capacity in 0_usize..40,
            writes in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..20),
            from in 0_u64..200,
        ) {
            let mut ring = Ring::new(capacity);
            let mut whole = Vec::new();
            for write in &writes {
                ring.write(write);
                whole.extend_from_slice(write);
                prop_assert!(ring.bytes.capacity() <= capacity);
            }
            let kept = &whole[whole.len().saturating_sub(capacity)..];
            prop_assert_eq!(ring.tail(usize::MAX), kept);
            let from = from.min(ring.end());
            let (lost, bytes) = ring.read_from(from);
            prop_assert_eq!(from + lost + bytes.len() as u64, ring.end());
            prop_assert!(whole.ends_with(&bytes));
            prop_assert!(lost == 0 || bytes == kept);
        }
    }
}
