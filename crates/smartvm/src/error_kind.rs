//! Sorts of failures.

use std::fmt;

use serde::Serialize;

/// What sort of failure an error is: what a program that meets it branches on first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// What was asked for cannot be, whatever the host is like: it must be asked for otherwise.
    InvalidInput,
    /// Something that was named does not exist.
    NotFound,
    /// Something is in the way, in use, or in no state for it: once that has changed, the same works.
    Conflict,
    /// This host, kernel or Firecracker cannot do it.
    Unsupported,
    /// Something that is needed failed or does not answer: a disk, a network, Firecracker. The causes say why.
    Unavailable,
    /// A bug of this library.
    Internal,
}

impl ErrorKind {
    /// Its name where it is written down, as in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid-input",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::Unsupported => "unsupported",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
