//! How the agent of a guest is reached.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::pin::Pin;

use tokio::net::UnixStream;

/// What dials the agent: the owner of the VM by the socket of its Firecracker, another process by asking the owner.
pub trait Dial: Send + Sync + fmt::Debug {
    /// Opens one more connection to the agent. The guest may not be ready yet: waiting for it is up to whoever dials.
    fn dial(&self) -> Dialling<'_>;
}

/// A connection that is being made. Dropping it gives it up.
pub type Dialling<'a> = Pin<Box<dyn Future<Output = Result<UnixStream, Unreachable>> + Send + 'a>>;

/// The agent could not be dialled, in the words of whoever tried.
#[derive(Debug, thiserror::Error)]
#[error("cannot reach the agent of the guest")]
pub struct Unreachable {
    code: Cow<'static, str>,
    hint: Option<String>,
    #[source]
    source: Box<dyn Error + Send + Sync>,
}

impl Unreachable {
    /// `source` says why; `code` and `hint` are its.
    pub fn new(
        code: impl Into<Cow<'static, str>>,
        hint: Option<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { code: code.into(), hint, source: source.into() }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}
