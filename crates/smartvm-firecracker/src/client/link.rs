//! One HTTP connection and the exchange of one request for one answer on it.

use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::ExchangeError;

/// No answer of Firecracker comes near it; a body beyond it is not Firecracker's.
const ANSWER_LIMIT: usize = 1 << 20;

type Body = Full<Bytes>;

/// A connection whose protocol is driven by whoever makes a request, within that request.
///
/// There is no background task, so a request costs no wake-up on another thread. Dropping it
/// closes the connection, which is what becomes of a request given up midway: the next answer on
/// that connection would otherwise be taken for another request's.
#[derive(Debug)]
pub(super) struct Link {
    sender: SendRequest<Body>,
    connection: Pin<Box<Connection<TokioIo<UnixStream>, Body>>>,
}

/// What Firecracker answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// Why an exchange came to nothing.
pub(super) enum ExchangeFailure {
    /// The connection was closed before a byte of the request was sent.
    Unsent(Box<Request<Body>>),
    /// The request may have been carried out.
    Failed(ExchangeError),
}

impl Link {
    pub(super) async fn open(path: &Path) -> Result<Self, ExchangeError> {
        let stream = UnixStream::connect(path).await.map_err(ExchangeError::Connect)?;
        Self::over(stream).await
    }

    pub(super) async fn over(stream: UnixStream) -> Result<Self, ExchangeError> {
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(ExchangeError::Http)?;
        Ok(Self { sender, connection: Box::pin(connection) })
    }

    /// Whether the connection can take a request, found without waiting: it notices that the
    /// other side closed it, or sent what nobody asked for.
    pub(super) async fn is_usable(&mut self) -> bool {
        let ended = poll_fn(|cx| Poll::Ready(self.connection.as_mut().poll(cx).is_ready())).await;
        !ended && self.sender.is_ready()
    }

    /// Sends a request and reads the whole answer, at most [`ANSWER_LIMIT`] bytes of body.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Body>,
    ) -> Result<Answer, ExchangeFailure> {
        let Self { sender, connection } = self;
        let mut exchange = pin!(async {
            let answer = sender.try_send_request(request).await.map_err(|mut error| {
                error.take_message().map_or_else(
                    || ExchangeFailure::Failed(ExchangeError::Http(error.into_error())),
                    |request| ExchangeFailure::Unsent(Box::new(request)),
                )
            })?;
            let status = answer.status();
            let body = read_body(answer.into_body()).await.map_err(ExchangeFailure::Failed)?;
            Ok(Answer { status, body })
        });
        let mut connected = true;
        loop {
            tokio::select! {
                biased;
                outcome = &mut exchange => return outcome,
                // Whatever ended the connection, the exchange is told of it.
                _ = connection.as_mut(), if connected => connected = false,
            }
        }
    }
}

async fn read_body(body: Incoming) -> Result<Bytes, ExchangeError> {
    let too_large = ExchangeError::AnswerTooLarge { limit: ANSWER_LIMIT };
    // An announced length is refused before any of it is read.
    if body.size_hint().lower() > ANSWER_LIMIT as u64 {
        return Err(too_large);
    }
    match Limited::new(body, ANSWER_LIMIT).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large),
        Err(error) => Err(match error.downcast::<hyper::Error>() {
            Ok(error) => ExchangeError::Http(*error),
            Err(other) => ExchangeError::Connect(std::io::Error::other(other)),
        }),
    }
}
