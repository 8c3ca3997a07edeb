//! The generic methods, which every call goes through.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use super::answer::Answer;
use super::exchange_error::ExchangeError;
use super::link::{ExchangeFailure, Link};
use super::request::encode;
use super::{ApiClient, ApiError};
use crate::capability::Method;

impl ApiClient {
    /// Reads a resource.
    ///
    /// # Errors
    /// When Firecracker is too old, refuses, does not answer in time, or answers something else.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        let answer = self.send(Method::Get, path, None).await?;
        parse(Method::Get, path, &answer.body)
    }

    /// Creates or replaces a resource, or performs an action.
    ///
    /// # Errors
    /// When Firecracker is too old, refuses or does not answer in time.
    pub async fn put<B: Serialize + ?Sized>(&self, path: &str, body: &B) -> Result<(), ApiError> {
        let body = compose(Method::Put, path, body)?;
        self.send(Method::Put, path, Some(&body)).await.map(drop)
    }

    /// Changes a resource.
    ///
    /// # Errors
    /// When Firecracker is too old, refuses or does not answer in time.
    pub async fn patch<B: Serialize + ?Sized>(&self, path: &str, body: &B) -> Result<(), ApiError> {
        let body = compose(Method::Patch, path, body)?;
        self.send(Method::Patch, path, Some(&body)).await.map(drop)
    }

    /// Removes a resource.
    ///
    /// # Errors
    /// When Firecracker is too old, refuses or does not answer in time.
    pub async fn delete(&self, path: &str) -> Result<(), ApiError> {
        self.send(Method::Delete, path, None).await.map(drop)
    }

    /// Makes a request that a person wrote: any method, any path, any JSON. Returns what
    /// Firecracker answered, `None` when it was success without a word.
    ///
    /// ```no_run
    /// use smartvm_firecracker::{ApiClient, capability::Method};
    ///
    /// # async fn pause(client: &ApiClient) -> Result<(), smartvm_firecracker::ApiError> {
    /// let body = serde_json::json!({"state": "Paused"});
    /// let answer = client.request(Method::Patch, "/vm", Some(&body)).await?;
    /// assert_eq!(answer, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`ApiClient::get`]. What no known version of Firecracker has is sent as it is.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<Value>, ApiError> {
        let body = body.map(|body| compose(method, path, body)).transpose()?;
        let answer = self.send(method, path, body.as_deref()).await?;
        if answer.body.trim_ascii().is_empty() {
            return Ok(None);
        }
        parse(method, path, &answer.body).map(Some)
    }

    /// Makes a request and tells a refusal from success.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<Answer, ApiError> {
        self.admit(method, path, body)?;
        let request =
            encode(method, path, body).map_err(|e| cannot_compose(method, path, e.into()))?;
        let answer = match timeout(self.deadline, self.exchange(&request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(source)) => {
                return Err(ApiError::Exchange { method, path: path.to_owned(), source });
            }
            Err(_) => {
                let (path, after) = (path.to_owned(), self.deadline);
                return Err(ApiError::TimedOut { method, path, after });
            }
        };
        if answer.is_success() {
            return Ok(answer);
        }
        Err(ApiError::Refused {
            status: answer.status,
            fault_message: answer.fault_message(),
            method,
            path: path.to_owned(),
        })
    }

    /// The link is out of its slot while it is in use, so that a request dropped midway takes it
    /// along instead of leaving it behind with half an exchange on it.
    async fn exchange(&self, request: &[u8]) -> Result<Answer, ExchangeError> {
        let mut slot = self.link.lock().await;
        let mut outcome = match slot.take().filter(Link::is_usable) {
            Some(link) => link.exchange(request).await,
            None => self.open_link().await?.exchange(request).await,
        };
        if matches!(outcome, Err(ExchangeFailure::Unsent(_))) {
            outcome = self.open_link().await?.exchange(request).await;
        }
        match outcome {
            Ok((answer, link)) => {
                *slot = link;
                Ok(answer)
            }
            Err(ExchangeFailure::Failed(error)) => Err(error),
            Err(ExchangeFailure::Unsent(error)) => Err(ExchangeError::Connect(error)),
        }
    }

    async fn open_link(&self) -> Result<Link, ExchangeError> {
        Link::open(&self.path, self.peer).await.map_err(ExchangeError::Connect)
    }

    /// Changes a resource in the one way there is.
    pub(super) async fn patch_without_body(&self, path: &str) -> Result<(), ApiError> {
        self.send(Method::Patch, path, None).await.map(drop)
    }
}

fn parse<T: DeserializeOwned>(method: Method, path: &str, body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|source| ApiError::Exchange {
        method,
        path: path.to_owned(),
        source: ExchangeError::Unexpected(source),
    })
}

fn compose<B: Serialize + ?Sized>(method: Method, path: &str, b: &B) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(b).map_err(|source| cannot_compose(method, path, source.into()))
}

fn cannot_compose(
    method: Method,
    path: &str,
    source: Box<dyn std::error::Error + Send + Sync>,
) -> ApiError {
    ApiError::Compose { method, path: path.to_owned(), source }
}
