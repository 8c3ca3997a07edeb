//! The other side of a control socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::descriptor::receive;
use super::request::{Answer, ConnectGuestCall, ControlCall, MAX_LINE, Refusal};
use super::serve::read_line;
use super::socket_path;
use crate::home::{FindVmError, FoundVm};
use crate::vm_id::VmId;

/// How long the owner may take to connect to a guest that is ready.
const CONNECTED: Duration = Duration::from_secs(15);

/// A connection to the owner of a VM.
#[derive(Debug)]
pub struct ControlClient {
    id: VmId,
    stream: BufReader<UnixStream>,
}

/// A request that was not carried out, as far as this side knows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// There is no such VM, or it is not there yet.
    #[error(transparent)]
    Find(#[from] FindVmError),
    /// The VM runs, and nobody listens for it.
    #[error("VM {id} runs, and its owner cannot be asked at {}", path.display())]
    NotServed {
        /// The id.
        id: VmId,
        /// Where its socket would be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The owner did not answer, or not in time.
    #[error("the owner of VM {id} did not answer")]
    NoAnswer {
        /// The id.
        id: VmId,
        /// What the system said.
        source: io::Error,
    },
    /// The owner could not do it.
    #[error("{message}")]
    Refused {
        /// The stable code of what went wrong there.
        code: String,
        /// What went wrong there.
        message: String,
        /// Why.
        causes: Vec<String>,
        /// What a person can do about it.
        hint: Option<String>,
    },
}

impl ControlError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Find(error) => error.code(),
            Self::NotServed { .. } => "VM_NOT_SERVED",
            Self::NoAnswer { .. } => "CONTROL_FAILED",
            Self::Refused { code, .. } => code,
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Find(error) => error.hint(),
            Self::NotServed { .. } => Some(
                "try again in a moment, when it has just been started or is about to end; a program of \
                 its own that owns it serves requests only where it was written to"
                    .to_owned(),
            ),
            Self::NoAnswer { .. } => None,
            Self::Refused { hint, .. } => hint.clone(),
        }
    }
}

impl From<Refusal> for ControlError {
    fn from(Refusal { code, message, causes, hint }: Refusal) -> Self {
        Self::Refused { code, message, causes, hint }
    }
}

/// Why nobody listens.
async fn unheard(runtime_dir: &Path, id: &VmId, path: PathBuf, source: io::Error) -> ControlError {
    let (dir, wanted) = (runtime_dir.to_owned(), id.clone());
    // It waits for others who make or remove directories.
    let found = tokio::task::spawn_blocking(move || FoundVm::find(&dir, wanted.as_str())).await;
    match found {
        Ok(Err(error)) => error.into(),
        _ => ControlError::NotServed { id: id.clone(), path, source },
    }
}

impl ControlClient {
    /// Connects to the owner of VM `id` in `runtime_dir`.
    ///
    /// # Errors
    /// `VM_NOT_FOUND`, `VM_NOT_STARTED` and `VM_OWNER_DEAD` as [`FoundVm::find`] tells; `VM_NOT_SERVED` when it
    /// runs, and nobody listens.
    pub async fn connect(runtime_dir: &Path, id: &VmId) -> Result<Self, ControlError> {
        let path = socket_path(&runtime_dir.join(id.as_str()));
        match UnixStream::connect(&path).await {
            Ok(stream) => Ok(Self { id: id.clone(), stream: BufReader::new(stream) }),
            Err(source) => Err(unheard(runtime_dir, id, path, source).await),
        }
    }

    /// Makes a request and waits for its answer, `patience` at most. A request that was given up may
    /// be carried out all the same.
    ///
    /// # Errors
    /// `CONTROL_FAILED` without an answer; else what went wrong at the owner, with its own code.
    pub async fn call(
        &mut self,
        call: &ControlCall,
        patience: Duration,
    ) -> Result<Value, ControlError> {
        let answer = match timeout(patience, self.exchange(call)).await {
            Ok(answer) => answer,
            Err(late) => Err(io::Error::new(io::ErrorKind::TimedOut, late)),
        };
        match answer {
            Ok(Answer::Ok(value)) => Ok(value),
            Ok(Answer::Error(refusal)) => Err(refusal.into()),
            Err(source) => Err(ControlError::NoAnswer { id: self.id.clone(), source }),
        }
    }

    /// Has the owner connect to a port of the guest, and takes the connection over: what goes through it from then on
    /// goes by nobody. A guest that has not told yet that it is ready is waited for, `patience` at most.
    ///
    /// # Errors
    /// As [`call`](Self::call); what [`ConnectGuestError`](crate::ConnectGuestError) names.
    pub async fn connect_guest(
        mut self,
        port: u32,
        patience: Duration,
    ) -> Result<UnixStream, ControlError> {
        let patience_ms = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
        let call = ControlCall::ConnectGuest(ConnectGuestCall { port, patience_ms });
        let handed_over = timeout(patience + CONNECTED, self.take_over(&call)).await;
        match handed_over.unwrap_or_else(|late| Err(io::Error::new(io::ErrorKind::TimedOut, late)))
        {
            Ok((Answer::Ok(_), Some(connection))) => Ok(connection),
            Ok((Answer::Ok(_), None)) => Err(ControlError::NoAnswer {
                id: self.id.clone(),
                source: io::Error::other("no connection came with the answer"),
            }),
            Ok((Answer::Error(refusal), _)) => Err(refusal.into()),
            Err(source) => Err(ControlError::NoAnswer { id: self.id.clone(), source }),
        }
    }

    async fn take_over(&mut self, call: &ControlCall) -> io::Result<(Answer, Option<UnixStream>)> {
        self.send(call).await?;
        // Nothing was read ahead: an answer follows its request.
        let (line, descriptor) = receive(self.stream.get_ref(), MAX_LINE).await?;
        let answer = serde_json::from_slice(&line).map_err(io::Error::other)?;
        let connection = descriptor.map(|descriptor| {
            let stream = std::os::unix::net::UnixStream::from(descriptor);
            stream.set_nonblocking(true)?;
            UnixStream::from_std(stream)
        });
        Ok((answer, connection.transpose()?))
    }

    async fn exchange(&mut self, call: &ControlCall) -> io::Result<Answer> {
        self.send(call).await?;
        let mut line = Vec::new();
        if !read_line(&mut self.stream, &mut line).await? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        serde_json::from_slice(&line).map_err(io::Error::other)
    }

    async fn send(&mut self, call: &ControlCall) -> io::Result<()> {
        let mut text = serde_json::to_vec(call).map_err(io::Error::other)?;
        text.push(b'\n');
        self.stream.get_mut().write_all(&text).await
    }
}
