//! Why a directory is not used.

use std::io;
use std::path::{Path, PathBuf};

/// A directory that another user controls, or might. Code `UNSAFE_DIRECTORY`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnsafeDirectory {
    /// The directory could not be made or looked at.
    #[error("cannot use directory {}", path.display())]
    Unusable {
        /// The directory, or the part of its path that was looked at.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path names something else: a file, for instance.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// The path, or a part of it.
        path: PathBuf,
    },
    /// A symbolic link stands where others could have put it, or where a directory must be.
    #[error("{} is a symbolic link", path.display())]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// The directory belongs to somebody else.
    #[error("directory {} belongs to user {owner}, not to us (user {us})", path.display())]
    ForeignOwner {
        /// The directory, or one on the way to it, which may be root's as well.
        path: PathBuf,
        /// The user who owns it.
        owner: u32,
        /// The user whom we run as.
        us: u32,
    },
    /// Others can create or replace files in the directory.
    #[error("directory {} can be written by others (mode {mode:04o})", path.display())]
    WritableByOthers {
        /// The directory, or one on the way to it.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl UnsafeDirectory {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "UNSAFE_DIRECTORY"
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        const OWN: &str = "name a directory of your own (--runtime-dir, --data-dir)";
        match self {
            Self::Unusable { .. } => None,
            Self::NotADirectory { path } => {
                Some(format!("name another directory, or move {} away", path.display()))
            }
            Self::Link { path } => Some(format!(
                "name the directory that {} leads to; links are followed only where root, or we, \
                 alone can make them",
                path.display()
            )),
            Self::ForeignOwner { .. } => Some(OWN.to_owned()),
            // Not "close it": it may be a directory that others rightly share.
            Self::WritableByOthers { .. } => Some(
                "name a directory that only you can write to (--runtime-dir, --data-dir)"
                    .to_owned(),
            ),
        }
    }

    /// Whether we may not even look at it: it is for others.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Unusable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }

    pub(crate) fn unusable(path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Unusable { path: path.to_owned(), source: source.into() }
    }
}
