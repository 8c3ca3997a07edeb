//! A socket that cannot be connected to.

use std::io;
use std::path::PathBuf;

/// The API's socket could not be connected to.
#[derive(Debug, thiserror::Error)]
#[error("failed to connect to the API socket {}", path.display())]
pub struct ConnectError {
    pub(super) path: PathBuf,
    #[source]
    pub(super) source: io::Error,
}

impl ConnectError {
    /// A stable name of the kind of failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "SOCKET_CONNECT_FAILED"
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self.source.kind() {
            io::ErrorKind::PermissionDenied => {
                Some("run as the user that started the VM, who alone may use its socket".to_owned())
            }
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                Some("check that the VM still runs".to_owned())
            }
            _ => None,
        }
    }

    pub(crate) fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}
