//! What can go wrong with a request, of whichever verb.

use std::io;
use std::time::Duration;

/// A request that Firecracker refused, or that was not answered.
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
        method: &'static str,
        /// The request's path.
        path: String,
    },
    /// The request could not be put into words. Nothing was sent.
    #[error("could not compose {method} {path}")]
    Compose {
        /// The request's method.
        method: &'static str,
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
        method: &'static str,
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
        method: &'static str,
        /// The request's path.
        path: String,
        /// The client's deadline.
        after: Duration,
    },
}

impl ApiError {
    /// A stable name of the kind of failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "API_REFUSED",
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
            _ => None,
        }
    }
}

/// What went wrong on the socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The socket could not be connected to.
    #[error("could not connect to the socket")]
    Connect(#[source] io::Error),
    /// The connection was closed or what came was not HTTP.
    #[error("the exchange over HTTP failed")]
    Http(#[source] hyper::Error),
    /// The answer's body exceeds any that Firecracker sends.
    #[error("the answer is longer than {limit} bytes")]
    AnswerTooLarge {
        /// The longest answer read, in bytes.
        limit: usize,
    },
    /// The answer is not of the expected form.
    #[error("the answer is not the expected JSON")]
    Unexpected(#[source] serde_json::Error),
}
