//! What an image file holds.

use super::ext4::{Ext4Superblock, ParseSuperblockError};
use crate::base_image::RootfsType;

/// squashfs begins with this, and keeps the number of its bytes here.
const SQUASHFS_MAGIC: &[u8] = b"hsqs";
const SQUASHFS_BYTES_USED: std::ops::Range<usize> = 40..48;

/// A file system, and how many bytes it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ImageKind {
    pub(super) rootfs_type: RootfsType,
    pub(super) size: u64,
}

impl ImageKind {
    /// Tells by the first bytes of a file, of which [`Ext4Superblock::NEEDED`] are enough.
    pub(super) fn of(bytes: &[u8]) -> Result<Option<Self>, ParseSuperblockError> {
        if bytes.starts_with(SQUASHFS_MAGIC) {
            let size = bytes.get(SQUASHFS_BYTES_USED).and_then(|size| size.try_into().ok());
            let size = size.map(u64::from_le_bytes).ok_or(ParseSuperblockError::Short)?;
            return Ok(Some(Self { rootfs_type: RootfsType::Squashfs, size }));
        }
        match Ext4Superblock::parse(bytes) {
            Ok(read) => Ok(Some(Self { rootfs_type: RootfsType::Ext4, size: read.size() })),
            Err(ParseSuperblockError::Short | ParseSuperblockError::NotExt4) => Ok(None),
            Err(damaged) => Err(damaged),
        }
    }
}
