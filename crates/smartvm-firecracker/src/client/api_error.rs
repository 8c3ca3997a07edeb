//! What can become of a request, of whichever method.

use std::time::Duration;

use super::exchange_error::ExchangeError;
use crate::FirecrackerVersion;
use crate::capability::{Method, Requirement};

/// A request that was not made, that Firecracker refused, or that was not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// Firecracker answered that it will not do it.
    #[error("{method} {path} was refused with status {status}: {fault_message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Firecracker's own words.
        fault_message: String,
        /// The request's method.
        method: Method,
        /// The request's path.
        path: String,
    },
    /// The running Firecracker does not know the call or a field of it. Nothing was sent.
    #[error("{method} {path}: {requirement}, and {running} is running")]
    TooOld {
        /// The request's method.
        method: Method,
        /// The request's path.
        path: String,
        /// What it does not know, and which versions do.
        requirement: Requirement,
        /// The version that is running.
        running: FirecrackerVersion,
    },
    /// The call needs a Firecracker that was started with `--enable-pci`. Nothing was sent.
    #[error("{method} {path} needs a Firecracker started with --enable-pci")]
    NeedsPci {
        /// The request's method.
        method: Method,
        /// The request's path.
        path: String,
    },
    /// The body is longer than Firecracker takes. Nothing was sent.
    #[error("{method} {path}: the body has {length} bytes, and Firecracker takes {limit}")]
    TooLong {
        /// The request's method.
        method: Method,
        /// The request's path.
        path: String,
        /// The body's length.
        length: usize,
        /// The longest that Firecracker takes.
        limit: usize,
    },
    /// The request could not be put into words. Nothing was sent.
    #[error("could not compose {method} {path}")]
    Compose {
        /// The request's method.
        method: Method,
        /// The request's path.
        path: String,
        /// What stands against it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There was no usable answer. Firecracker may have done what was asked.
    #[error("{method} {path} got no usable answer")]
    Exchange {
        /// The request's method.
        method: Method,
        /// The request's path.
        path: String,
        /// What happened on the socket.
        #[source]
        source: ExchangeError,
    },
    /// There was no answer in time. Firecracker may have done what was asked, or do so yet.
    #[error("{method} {path} was not answered within {after:?}")]
    TimedOut {
        /// The request's method.
        method: Method,
        /// The request's path.
        path: String,
        /// The client's deadline.
        after: Duration,
    },
}

impl ApiError {
    /// Whether it is sure that nothing was done: Firecracker refused, or was not asked. Otherwise
    /// what was asked may have been done, and Firecracker's end is the likely cause.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        !matches!(self, Self::Exchange { .. } | Self::TimedOut { .. })
    }

    /// A stable name of the kind of failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "API_REFUSED",
            Self::TooOld { .. } => "FIRECRACKER_TOO_OLD",
            Self::NeedsPci { .. } => "FIRECRACKER_WITHOUT_PCI",
            Self::TooLong { .. } => "API_REQUEST_TOO_LONG",
            Self::Compose { .. } => "API_REQUEST_INVALID",
            Self::Exchange { .. } => "SOCKET_REQUEST_FAILED",
            Self::TimedOut { .. } => "API_TIMEOUT",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Refused { status: 503, .. } => Some(
                "Firecracker serves ten connections at a time: close the other clients of its \
                 socket"
                    .to_owned(),
            ),
            Self::TooOld { requirement, .. } => Some(format!(
                "use Firecracker {} or newer, or leave this out",
                requirement.since.first()
            )),
            Self::NeedsPci { .. } => Some("start the VM with PCI on".to_owned()),
            Self::TooLong { .. } => {
                Some("start Firecracker with a higher --http-api-max-payload-size".to_owned())
            }
            _ => None,
        }
    }
}
