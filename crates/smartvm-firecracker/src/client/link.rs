//! One connection and the exchange of one request for one answer on it.

use std::io;
use std::path::Path;

use rustix::net::RecvFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::answer::Answer;
use super::exchange_error::ExchangeError;

/// What most answers fit into; it grows for others.
const BUFFER: usize = 4 << 10;

/// A connection on which no request is under way.
///
/// The protocol is spoken here rather than by an HTTP library: one request and one answer at a
/// time need no task, no channel and no second wake-up, which is most of what a request would
/// otherwise cost. Dropping the link closes it, which is what becomes of a request given up
/// midway: the next answer on that connection would otherwise be taken for another request's.
#[derive(Debug)]
pub(super) struct Link {
    stream: UnixStream,
    received: Vec<u8>,
}

/// Why an exchange came to nothing.
#[derive(Debug)]
pub(super) enum ExchangeFailure {
    /// The connection was closed before a byte of the request was sent.
    Unsent(io::Error),
    /// The request may have been carried out.
    Failed(ExchangeError),
}

impl Link {
    pub(super) async fn open(path: &Path) -> Result<Self, ExchangeError> {
        let stream = UnixStream::connect(path).await.map_err(ExchangeError::Connect)?;
        Ok(Self::over(stream))
    }

    pub(super) fn over(stream: UnixStream) -> Self {
        Self { stream, received: Vec::with_capacity(BUFFER) }
    }

    /// Whether the connection can take a request, found without waiting: it notices that the
    /// other side closed it, or sent what nobody asked for.
    pub(super) fn is_usable(&self) -> bool {
        let mut byte = [0; 1];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        self.received.is_empty()
            && rustix::net::recv(&self.stream, &mut byte, flags) == Err(rustix::io::Errno::AGAIN)
    }

    /// Sends a request and reads the whole answer.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> Result<Answer, ExchangeFailure> {
        let failed = |error| ExchangeFailure::Failed(ExchangeError::Socket(error));
        match self.stream.write(request).await {
            Ok(sent) if sent == request.len() => {}
            Ok(sent) => match self.stream.write_all(&request[sent..]).await {
                Ok(()) => {}
                // An answer may have come before the whole request was read.
                Err(error) => return self.receive().await.map_err(|_| failed(error)),
            },
            Err(error) => return Err(ExchangeFailure::Unsent(error)),
        }
        self.receive().await.map_err(ExchangeFailure::Failed)
    }

    async fn receive(&mut self) -> Result<Answer, ExchangeError> {
        loop {
            let count =
                self.stream.read_buf(&mut self.received).await.map_err(ExchangeError::Socket)?;
            let ended = count == 0;
            let parsed = Answer::parse(&self.received, ended).map_err(ExchangeError::Answer)?;
            match parsed {
                Some((answer, length)) => {
                    self.received.drain(..length);
                    return Ok(answer);
                }
                None if ended => {
                    let received = self.received.len();
                    return Err(ExchangeError::Closed { received });
                }
                None => {}
            }
        }
    }
}
