//! One connection and the exchange of one request for one answer on it.

use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{RecvFlags, SendFlags};
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::answer::Answer;
use super::exchange_error::ExchangeError;
use super::farewell::take_leave;
use super::prompt::wait_promptly;

/// What most answers fit into; it grows for others.
const BUFFER: usize = 4 << 10;

/// A connection on which no request is under way.
///
/// The protocol is spoken here rather than by an HTTP library: one request and one answer at a
/// time need no task, no channel and no second wake-up, which is most of what a request would
/// otherwise cost. For the same reason the runtime is asked to watch the socket only when an answer
/// takes longer than usual.
///
/// Dropping it closes the connection, which is what becomes of a request given up midway: the next
/// answer on that connection would otherwise be taken for another request's. While Firecracker may
/// still write, that is done with [care](take_leave).
#[derive(Debug)]
pub(super) struct Link {
    /// Not blocking, and unknown to the runtime.
    stream: StdStream,
    received: Vec<u8>,
    /// Whether every request has had its answer, and no more will come.
    settled: bool,
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
    /// Connects to `path`, where the process `peer` must listen, if it is known.
    pub(super) async fn open(path: &Path, peer: Option<u32>) -> io::Result<Self> {
        let stream = UnixStream::connect(path).await?.into_std()?;
        if let Some(peer) = peer {
            let pid = socket_peercred(&stream)?.pid.as_raw_nonzero().get();
            if u32::try_from(pid) != Ok(peer) {
                let message = format!("process {pid} listens there, which is not the VM's");
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
            }
        }
        Ok(Self { stream, received: Vec::with_capacity(BUFFER), settled: true })
    }

    /// Whether the connection can take a request, found without waiting: it notices that the
    /// other side closed it, or sent what nobody asked for.
    pub(super) fn is_usable(&self) -> bool {
        let mut byte = [0; 1];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        self.received.is_empty()
            && rustix::net::recv(&self.stream, &mut byte, flags) == Err(Errno::AGAIN)
    }

    /// Sends a request and reads the whole answer. The link comes back with it, unless Firecracker
    /// closes it.
    pub(super) async fn exchange(
        mut self,
        request: &[u8],
    ) -> Result<(Answer, Option<Self>), ExchangeFailure> {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        self.settled = false;
        let sent = match rustix::net::send(&self.stream, request, flags) {
            Ok(sent) => sent,
            Err(Errno::AGAIN) => 0,
            Err(errno) => return Err(ExchangeFailure::Unsent(errno.into())),
        };
        if sent == request.len() {
            wait_promptly(&self.stream);
        }
        let answer = self.finish(&request[sent..]).await.map_err(ExchangeFailure::Failed)?;
        // After a refusal of the HTTP layer's own, it refuses the rest of the request piece by piece.
        self.settled = !answer.is_of_http_layer();
        let kept = (self.settled && !answer.closes).then_some(self);
        Ok((answer, kept))
    }

    /// Sends the rest and reads the answer.
    async fn finish(&mut self, rest: &[u8]) -> Result<Answer, ExchangeError> {
        let sent = if rest.is_empty() { Ok(()) } else { self.send_slowly(rest).await };
        let answer = match self.take_answer() {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) if sent.is_ok() => self.take_answer_slowly().await,
            Ok(None) => Err(ExchangeError::Closed { received: self.received.len() }),
            Err(error) => Err(error),
        };
        // An answer counts though it came before the whole request was read.
        answer.map_err(|error| sent.map_or_else(ExchangeError::Socket, |()| error))
    }

    async fn send_slowly(&self, mut rest: &[u8]) -> io::Result<()> {
        let watched = UnixStream::from_std(self.stream.try_clone()?)?;
        while !rest.is_empty() {
            watched.writable().await?;
            match watched.try_write(rest) {
                Ok(sent) => rest = &rest[sent..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn take_answer_slowly(&mut self) -> Result<Answer, ExchangeError> {
        let watched = self.stream.try_clone().and_then(UnixStream::from_std);
        let watched = watched.map_err(ExchangeError::Socket)?;
        let whole =
            || self.take_answer().transpose().ok_or_else(|| io::ErrorKind::WouldBlock.into());
        watched.async_io(Interest::READABLE, whole).await.map_err(ExchangeError::Socket)?
    }

    /// Reads what is there; `None` when that is not a whole answer yet.
    fn take_answer(&mut self) -> Result<Option<Answer>, ExchangeError> {
        loop {
            self.received.reserve(BUFFER);
            let spare = rustix::buffer::spare_capacity(&mut self.received);
            let ended = match rustix::net::recv(&self.stream, spare, RecvFlags::DONTWAIT) {
                Ok((_, count)) => count == 0,
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(ExchangeError::Socket(errno.into())),
            };
            let parsed = Answer::parse(&self.received, ended).map_err(ExchangeError::Answer)?;
            match parsed {
                Some((answer, length)) => {
                    self.received.drain(..length);
                    return Ok(Some(answer));
                }
                None if ended => {
                    return Err(ExchangeError::Closed { received: self.received.len() });
                }
                None => {}
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if !self.settled {
            take_leave(&self.stream);
        }
    }
}
