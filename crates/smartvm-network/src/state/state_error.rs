//! What went wrong with the files that say what exists.

use std::io;

/// The files that say what exists cannot be read or written. Code `NETWORK_STATE_FAILED`.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing}")]
pub struct StateError {
    doing: String,
    source: io::Error,
}

impl StateError {
    pub(crate) fn new(doing: impl Into<String>, source: io::Error) -> Self {
        Self { doing: doing.into(), source }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "NETWORK_STATE_FAILED"
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        (self.source.kind() == io::ErrorKind::PermissionDenied).then(|| {
            "networks need root, or CAP_NET_ADMIN and a state directory of one's own".to_owned()
        })
    }
}
