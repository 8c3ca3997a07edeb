//! What can go wrong on the socket.

use std::io;

use super::answer::AnswerError;

/// What went wrong on the socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The socket could not be connected to. Nothing was sent.
    #[error("could not connect to the socket")]
    Connect(#[source] io::Error),
    /// The connection broke.
    #[error("the connection broke")]
    Socket(#[source] io::Error),
    /// The connection was closed before the answer was whole.
    #[error("the connection was closed after {received} bytes of the answer")]
    Closed {
        /// How much of the answer had come.
        received: usize,
    },
    /// What came is no answer of Firecracker's.
    #[error("the answer cannot be read")]
    Answer(#[source] AnswerError),
    /// The answer is not of the expected form.
    #[error("the answer is not the expected JSON")]
    Unexpected(#[source] serde_json::Error),
}
