//! What went wrong with the files that say what exists.

use std::io;

use smartvm_dir::{HostLockBusy, UnsafeDirectory};

/// The files that say what exists cannot be read or written. Code `NETWORK_STATE_FAILED`,
/// `HOST_LOCK_BUSY` or `UNSAFE_DIRECTORY`.
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
    pub fn code(&self) -> &'static str {
        match (HostLockBusy::of(&self.source), self.unsafe_directory()) {
            (Some(_), _) => HostLockBusy::CODE,
            (None, Some(error)) => error.code(),
            (None, None) => "NETWORK_STATE_FAILED",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match (HostLockBusy::of(&self.source), self.unsafe_directory()) {
            (Some(busy), _) => Some(busy.hint()),
            (None, Some(_)) => {
                Some("name a directory of your own for networks (--network-dir)".to_owned())
            }
            (None, None) => (self.source.kind() == io::ErrorKind::PermissionDenied).then(|| {
                "networks need root, or CAP_NET_ADMIN and a state directory of one's own".to_owned()
            }),
        }
    }

    fn unsafe_directory(&self) -> Option<&UnsafeDirectory> {
        let error = self.source.get_ref()?.downcast_ref::<UnsafeDirectory>()?;
        // That we may not use it says nothing of whether it is safe.
        (!error.is_denied()).then_some(error)
    }
}
