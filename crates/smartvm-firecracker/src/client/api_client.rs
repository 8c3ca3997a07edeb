//! The client: one kept connection and the generic verbs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::fault::fault_message;
use super::link::{Answer, ExchangeFailure, Link};
use super::{ApiError, ExchangeError};

/// Longer than any call takes whose work does not grow with the guest's memory.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

/// A snapshot is as large as the guest's memory, and its disk may be slow.
const DEFAULT_SNAPSHOT_DEADLINE: Duration = Duration::from_secs(300);

/// A client of one Firecracker process' API.
///
/// It keeps one connection, on which requests are made one after the other; clones share it. A
/// connection that Firecracker closed while idle is opened anew, once, before a request is sent;
/// a request of which a byte may have been sent is never repeated.
///
/// A request given up midway (its future dropped, or its deadline passed) closes the connection.
/// Firecracker may still carry that request out.
#[derive(Debug, Clone)]
pub struct ApiClient {
    path: Arc<Path>,
    link: Arc<Mutex<Option<Link>>>,
    deadline: Duration,
    snapshot_deadline: Duration,
}

impl ApiClient {
    /// Connects to the socket at `path`. No request is made.
    ///
    /// Requests have a deadline of 10 seconds; see [`ApiClient::with_deadline`].
    ///
    /// # Errors
    /// When nothing listens there or the socket may not be used.
    pub async fn connect(path: &Path) -> Result<Self, ConnectError> {
        let wrap = |source| ConnectError { path: path.to_owned(), source };
        let stream = UnixStream::connect(path).await.map_err(wrap)?;
        let link = Link::over(stream).await.map_err(|error| wrap(io::Error::other(error)))?;
        Ok(Self {
            path: path.into(),
            link: Arc::new(Mutex::new(Some(link))),
            deadline: DEFAULT_DEADLINE,
            snapshot_deadline: DEFAULT_SNAPSHOT_DEADLINE,
        })
    }

    /// The same client, on the same connection, with another deadline for each request. It covers
    /// the wait for earlier requests, a connection made anew and the whole answer.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same client, on the same connection, with another deadline for the creation and the
    /// loading of a snapshot. It is 5 minutes unless set.
    #[must_use]
    pub fn with_snapshot_deadline(mut self, deadline: Duration) -> Self {
        self.snapshot_deadline = deadline;
        self
    }

    /// The client that makes a snapshot's calls.
    pub(super) fn patient(&self) -> Self {
        self.clone().with_deadline(self.snapshot_deadline)
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// When Firecracker refuses, does not answer in time, or answers something else.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        let answer = self.request(Verb::Get, path, None).await?;
        serde_json::from_slice(&answer.body).map_err(|source| ApiError::Exchange {
            method: Verb::Get.name(),
            path: path.to_owned(),
            source: ExchangeError::Unexpected(source),
        })
    }

    /// Creates or replaces a resource, or performs an action.
    ///
    /// # Errors
    /// When Firecracker refuses or does not answer in time.
    pub async fn put<B: Serialize + ?Sized>(&self, path: &str, body: &B) -> Result<(), ApiError> {
        let body = compose(Verb::Put, path, body)?;
        self.request(Verb::Put, path, Some(body)).await.map(drop)
    }

    /// Changes a resource.
    ///
    /// # Errors
    /// When Firecracker refuses or does not answer in time.
    pub async fn patch<B: Serialize + ?Sized>(&self, path: &str, body: &B) -> Result<(), ApiError> {
        let body = compose(Verb::Patch, path, body)?;
        self.request(Verb::Patch, path, Some(body)).await.map(drop)
    }

    /// Changes a resource in the one way there is.
    pub(super) async fn patch_without_body(&self, path: &str) -> Result<(), ApiError> {
        self.request(Verb::Patch, path, None).await.map(drop)
    }

    /// Removes a resource.
    ///
    /// # Errors
    /// When Firecracker refuses or does not answer in time.
    pub async fn delete(&self, path: &str) -> Result<(), ApiError> {
        self.request(Verb::Delete, path, None).await.map(drop)
    }

    async fn request(
        &self,
        verb: Verb,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Answer, ApiError> {
        let request = verb.request(path, body)?;
        let answer = match timeout(self.deadline, self.exchange(request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(source)) => {
                return Err(ApiError::Exchange {
                    method: verb.name(),
                    path: path.to_owned(),
                    source,
                });
            }
            Err(_) => {
                return Err(ApiError::TimedOut {
                    method: verb.name(),
                    path: path.to_owned(),
                    after: self.deadline,
                });
            }
        };
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(ApiError::Refused {
            status: answer.status.as_u16(),
            fault_message: fault_message(&answer.body),
            method: verb.name(),
            path: path.to_owned(),
        })
    }

    /// The link is out of its slot while it is in use, so that a request dropped midway takes it
    /// along instead of leaving it behind with half an exchange on it.
    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, ExchangeError> {
        let mut slot = self.link.lock().await;
        let kept = match slot.take() {
            Some(mut kept) => kept.is_usable().await.then_some(kept),
            None => None,
        };
        let mut link = match kept {
            Some(link) => link,
            None => Link::open(&self.path).await?,
        };
        let outcome = match link.exchange(request).await {
            Err(ExchangeFailure::Unsent(request)) => {
                link = Link::open(&self.path).await?;
                link.exchange(*request).await
            }
            outcome => outcome,
        };
        match outcome {
            Ok(answer) => {
                *slot = Some(link);
                Ok(answer)
            }
            Err(ExchangeFailure::Failed(error)) => Err(error),
            Err(ExchangeFailure::Unsent(_)) => {
                Err(ExchangeError::Connect(io::ErrorKind::ConnectionReset.into()))
            }
        }
    }
}

/// The API's socket could not be connected to.
#[derive(Debug, thiserror::Error)]
#[error("failed to connect to the API socket {}", path.display())]
pub struct ConnectError {
    path: PathBuf,
    #[source]
    source: io::Error,
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

#[derive(Debug, Clone, Copy)]
enum Verb {
    Get,
    Put,
    Patch,
    Delete,
}

impl Verb {
    const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    fn request(self, path: &str, body: Option<Bytes>) -> Result<Request<Full<Bytes>>, ApiError> {
        let method = match self {
            Self::Get => Method::GET,
            Self::Put => Method::PUT,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::ACCEPT, "application/json");
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request.body(Full::new(body.unwrap_or_default())).map_err(|source| ApiError::Compose {
            method: self.name(),
            path: path.to_owned(),
            source: source.into(),
        })
    }
}

fn compose(verb: Verb, path: &str, body: &(impl Serialize + ?Sized)) -> Result<Bytes, ApiError> {
    serde_json::to_vec(body).map(Bytes::from).map_err(|source| ApiError::Compose {
        method: verb.name(),
        path: path.to_owned(),
        source: source.into(),
    })
}
