//! What a call on snapshots can end in.

use std::io;

use smartvm_images::signature::KeyError;

use super::compatible::IncompatibleSnapshot;
use super::create::CreateSnapshotError;
use super::restore::{RestoreRefused, TooOld};
use super::store::SnapshotStoreError;
use super::stored::VerifySnapshotError;
use super::uffd::UffdError;

/// The error of making a snapshot and of restoring one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The snapshot was not made.
    #[error(transparent)]
    Create(#[from] CreateSnapshotError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] SnapshotStoreError),
    /// The snapshot cannot be loaded here.
    #[error(transparent)]
    Incompatible(#[from] IncompatibleSnapshot),
    /// Something must be said of this host first.
    #[error(transparent)]
    Refused(#[from] RestoreRefused),
    /// The snapshot is not what was saved.
    #[error(transparent)]
    Verify(#[from] VerifySnapshotError),
    /// Firecracker does not know what was asked for.
    #[error(transparent)]
    TooOld(#[from] TooOld),
    /// The guest's page faults cannot be served.
    #[error(transparent)]
    Uffd(#[from] UffdError),
    /// The key that snapshots must be signed by cannot be used.
    #[error("nothing can be verified")]
    Key(#[from] KeyError),
    /// The operating system refused.
    #[error("cannot {action}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl SnapshotError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Create(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Incompatible(error) => error.code(),
            Self::Refused(error) => error.code(),
            Self::Verify(error) => error.code(),
            Self::TooOld(_) => "FIRECRACKER_TOO_OLD",
            Self::Uffd(_) => "UFFD_FAILED",
            Self::Key(error) => error.code(),
            Self::Io { .. } => "RESTORE_FAILED",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Create(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Incompatible(error) => error.hint(),
            Self::Refused(error) => error.hint(),
            Self::Verify(error) => error.hint(),
            Self::TooOld(error) => Some(format!("use Firecracker {} or newer", error.since)),
            Self::Key(error) => error.hint(),
            Self::Uffd(_) | Self::Io { .. } => None,
        }
    }
}
