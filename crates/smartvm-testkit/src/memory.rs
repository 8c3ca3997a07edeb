//! How much memory reading takes.
//!
//! Counted is what this thread asks of Rust's allocator: not what a library in C takes, whose limits are told to
//! it, nor pages of the stack.

use allocation_counter::{AllocationInfo, measure};

/// What the memory and the work of a reader may come to.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// Bytes at once for each byte of input.
    pub per_byte: u64,
    /// Bytes at once whatever the input is.
    pub fixed: u64,
}

/// What a reader took.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// The most bytes that it had at once.
    pub peak: u64,
    /// All bytes that it has ever asked for: a measure of its work that no clock disturbs.
    pub total: u64,
}

/// Runs `read` and counts what it takes.
pub fn taken<T>(read: impl FnOnce() -> T) -> Taken {
    let AllocationInfo { bytes_max, bytes_total, .. } = measure(|| drop(read()));
    Taken { peak: bytes_max, total: bytes_total }
}

/// Asserts that reading takes memory as `bound` says for an input made of `parts` parts and for one of
/// four times as many, and that its work grows no faster than the input does.
///
/// # Panics
/// When it does not hold, with the figures.
pub fn assert_reading_is_bounded<T>(
    what: &str,
    parts: usize,
    bound: Bound,
    make: impl Fn(usize) -> Vec<u8>,
    read: impl Fn(&[u8]) -> T,
) {
    let [(small, less), (large, more)] = [parts, 4 * parts].map(|parts| {
        let input = make(parts);
        // Once before, for what is made once and kept.
        drop(read(&input));
        let taken = taken(|| read(&input));
        let length = input.len() as u64;
        let most = bound.fixed + bound.per_byte * length;
        assert!(taken.peak <= most, "{what}: {length} bytes take {taken:?}, more than {most}");
        (length, taken)
    });
    // A copy that grows by doubling may just have doubled.
    let growth = 2 * large.div_ceil(small);
    assert!(
        more.total <= growth * less.total + bound.fixed,
        "{what}: from {small} to {large} bytes its work grows from {less:?} to {more:?}"
    );
}
