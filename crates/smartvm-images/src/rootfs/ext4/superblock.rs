//! What an ext4 image says of itself.

use thiserror::Error;

/// Where the superblock is in an image.
const OFFSET: usize = 1024;
const SIZE: usize = 1024;
const MAGIC: u16 = 0xEF53;
const INCOMPAT_64BIT: u32 = 0x80;
/// Linux mounts blocks of at most a page; e2fsprogs makes up to 64 KiB.
const MAX_LOG_BLOCK: u32 = 6;

/// The reason why the beginning of a file is no ext4 superblock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseSuperblockError {
    /// There are fewer than 2048 bytes.
    #[error("it ends before its superblock does")]
    Short,
    /// The magic number is missing.
    #[error("it has no ext2, ext3 or ext4 superblock")]
    NotExt4,
    /// A field has a value that no file system has.
    #[error("its superblock is damaged: {0}")]
    Damaged(&'static str),
}

/// The size of an ext4 (or ext2, ext3) file system, as its superblock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ext4Superblock {
    block_size: u64,
    blocks: u64,
    free_blocks: u64,
}

impl Ext4Superblock {
    /// How many bytes of an image [`parse`](Self::parse) needs.
    pub const NEEDED: usize = OFFSET + SIZE;

    /// Reads the superblock from the first bytes of an image, at least [`NEEDED`](Self::NEEDED).
    ///
    /// # Errors
    /// When there are too few bytes, the magic number is missing, or a size is impossible.
    pub fn parse(image: &[u8]) -> Result<Self, ParseSuperblockError> {
        let block = image.get(OFFSET..Self::NEEDED).ok_or(ParseSuperblockError::Short)?;
        if field(block, 0x38) & 0xffff != u32::from(MAGIC) {
            return Err(ParseSuperblockError::NotExt4);
        }
        let log_block = field(block, 0x18);
        if log_block > MAX_LOG_BLOCK {
            return Err(ParseSuperblockError::Damaged("the size of its blocks"));
        }
        let block_size = 1024_u64 << log_block;
        let is_64bit = field(block, 0x60) & INCOMPAT_64BIT != 0;
        let wide = |low, high| {
            let high = if is_64bit { field(block, high) } else { 0 };
            u64::from(high) << 32 | u64::from(field(block, low))
        };
        let (blocks, free_blocks) = (wide(0x04, 0x150), wide(0x0c, 0x158));
        if blocks == 0 || blocks.checked_mul(block_size).is_none() {
            return Err(ParseSuperblockError::Damaged("the number of its blocks"));
        }
        if free_blocks > blocks {
            return Err(ParseSuperblockError::Damaged("the number of its free blocks"));
        }
        Ok(Self { block_size, blocks, free_blocks })
    }

    /// The size of the file system in bytes; its file may be larger.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.blocks * self.block_size
    }

    /// The bytes of it that are free.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.free_blocks * self.block_size
    }
}

/// The little-endian number at `offset`, which is within the block.
fn field(block: &[u8], offset: usize) -> u32 {
    let bytes = block.get(offset..offset + 4).and_then(|bytes| bytes.try_into().ok());
    u32::from_le_bytes(bytes.expect("every offset is a constant within a superblock"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn image(blocks: u64, free: u64, log_block: u32, wide: bool) -> Vec<u8> {
        let mut image = vec![0; Ext4Superblock::NEEDED];
        let mut put = |at: usize, value: u32| {
            image[OFFSET + at..OFFSET + at + 4].copy_from_slice(&value.to_le_bytes());
        };
        let (low, high) = (|it: u64| (it & 0xffff_ffff) as u32, |it: u64| (it >> 32) as u32);
        put(0x04, low(blocks));
        put(0x150, high(blocks));
        put(0x0c, low(free));
        put(0x158, high(free));
        put(0x18, log_block);
        put(0x38, u32::from(MAGIC));
        put(0x60, if wide { INCOMPAT_64BIT } else { 0 });
        image
    }

    #[test]
    fn size_and_free_space_are_read() {
        let read = Ext4Superblock::parse(&image(16384, 100, 2, false)).unwrap();
        assert_eq!((read.size(), read.free()), (64 << 20, 409_600));
        let read = Ext4Superblock::parse(&image(1 << 33, 1 << 32, 2, true)).unwrap();
        assert_eq!((read.size(), read.free()), (1 << 45, 1 << 44));
    }

    #[test]
    fn what_no_file_system_says_is_refused() {
        use ParseSuperblockError as E;
        assert_eq!(Ext4Superblock::parse(&[0; 2047]), Err(E::Short));
        assert_eq!(Ext4Superblock::parse(&[0; 2048]), Err(E::NotExt4));
        for damaged in [
            image(0, 0, 2, false),
            image(10, 11, 2, false),
            image(10, 1, 7, false),
            image(1 << 60, 1, 4, true),
        ] {
            assert!(matches!(Ext4Superblock::parse(&damaged), Err(E::Damaged(_))));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(noise in proptest::collection::vec(any::<u8>(), 1024)) {
            let mut image = image(1, 1, 0, true);
            image[OFFSET..].copy_from_slice(&noise);
            image[OFFSET + 0x38] = 0x53;
            image[OFFSET + 0x39] = 0xef;
            let _ = Ext4Superblock::parse(&image);
        }
    }
}
