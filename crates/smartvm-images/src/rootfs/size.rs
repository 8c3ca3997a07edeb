//! Sizes of images.

/// The most that an image may have: the largest file of ext4, in MiB.
const MAX_MIB: u64 = 16 << 20;

/// A size in bytes; none for one that no image can have.
pub(super) fn bytes_of_mib(mib: u64) -> Option<u64> {
    (1..=MAX_MIB).contains(&mib).then_some(mib << 20)
}
