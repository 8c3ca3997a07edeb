//! Looking through an archive.

use std::io::Read;

use thiserror::Error;

use super::unpack::{UnpackError, read_through};

/// What an archive of a root file system holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootfsArchive {
    /// How many files, directories and nodes there are, the root directory among them.
    pub inodes: u64,
    /// How many bytes they take in blocks of 4 KiB.
    pub bytes: u64,
}

/// The reason why an archive is no root file system.
#[derive(Debug, Error)]
#[error("failed to read the archive of a root file system")]
pub struct ExamineArchiveError(#[source] UnpackError);

impl ExamineArchiveError {
    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "ROOTFS_SOURCE_UNREADABLE"
    }
}

impl RootfsArchive {
    /// Reads a tar archive, not compressed, to its end, as
    /// [`build_rootfs`](crate::build_rootfs) does it, and keeps nothing.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or has an entry that cannot be taken.
    pub fn examine(archive: impl Read) -> Result<Self, ExamineArchiveError> {
        let tree = read_through(archive).map_err(ExamineArchiveError)?;
        Ok(Self { inodes: tree.inodes() as u64, bytes: tree.content_bytes() })
    }
}
