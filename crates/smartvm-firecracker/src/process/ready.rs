//! Waiting for the API to answer.

use std::io::ErrorKind::{ConnectionRefused, ConnectionReset, NotFound, WouldBlock};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::{FirecrackerProcess, ProcessExit};
use crate::ProbeVersionError;
use crate::client::{ApiClient, ApiError, ConnectError};
use crate::dir_watch::DirWatch;

/// How long the socket may take to appear. Firecracker needs some milliseconds.
const SOCKET_DEADLINE: Duration = Duration::from_secs(10);

/// How long the first answer may take.
const API_DEADLINE: Duration = Duration::from_secs(5);

/// After how long it is worth asking whether the program is Firecracker at all.
const SUSPICIOUS_DELAY: Duration = Duration::from_millis(300);

/// Between bind and listen a connection is refused. That is over within microseconds, unless our
/// being woken by the bind took Firecracker's processor away: hence attempts at once, for some 2 ms
/// in all, that each give the processor back. The runtime's timer is no finer than that.
const PROMPT_ATTEMPTS: u32 = 150;
const RETRY_DELAY: Duration = Duration::from_millis(1);

/// How long after a failed request to wait for the end of the process, its likely cause.
const EXIT_GRACE: Duration = Duration::from_millis(250);

impl FirecrackerProcess {
    /// Waits until the API answers and returns a client on the connection that it answered on. The
    /// client knows the version that runs and whether PCI is on.
    ///
    /// The end of the process is noticed at once. The socket may take 10 seconds, the first answer
    /// 5 more. Cancel safe; may be called again.
    ///
    /// # Errors
    /// When the process ended, is not Firecracker, or is late. It still runs then, unless it ended.
    pub async fn ready(&self) -> Result<ApiClient, ReadyError> {
        let client = tokio::select! {
            biased;
            client = self.connected() => client?,
            exit = self.exited() => return Err(self.explain_exit(exit).await),
            refuted = self.refuted() => return Err(refuted),
            () = sleep(SOCKET_DEADLINE) => return Err(ReadyError::SocketTimedOut {
                path: self.socket_path.clone(),
                after: SOCKET_DEADLINE,
                log: self.log_tail(),
            }),
        };
        let asker = client.clone().with_deadline(API_DEADLINE);
        let version = tokio::select! {
            biased;
            version = asker.version() => version,
            exit = self.exited() => return Err(ReadyError::Exited { exit }),
        };
        match version {
            Ok(version) => {
                tracing::debug!(pid = self.identity.pid, %version, "Firecracker is ready");
                Ok(client.with_version(version).with_pci(self.pci))
            }
            Err(source @ ApiError::TimedOut { .. }) => Err(ReadyError::Unanswered { source }),
            // A process that ends closes its socket before its end can be seen.
            Err(source) => match timeout(EXIT_GRACE, self.exited()).await {
                Ok(exit) => Err(ReadyError::Exited { exit }),
                Err(_) => Err(ReadyError::Unanswered { source }),
            },
        }
    }
}

impl FirecrackerProcess {
    /// Connects as soon as the socket takes connections.
    async fn connected(&self) -> Result<ApiClient, ReadyError> {
        let mut watch = self.socket_watch.lock().await;
        let client =
            connect_when_there(&self.socket_path, self.identity.pid, watch.as_ref()).await?;
        *watch = None;
        Ok(client)
    }

    /// Resolves once it is sure that the program is not Firecracker. Firecracker's socket is there
    /// before the question is worth asking.
    async fn refuted(&self) -> ReadyError {
        sleep(SUSPICIOUS_DELAY).await;
        match self.not_firecracker().await {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    async fn explain_exit(&self, exit: ProcessExit) -> ReadyError {
        // A signal came from outside and says nothing about the program.
        let refuted = if exit.code.is_some() { self.not_firecracker().await } else { None };
        refuted.unwrap_or(ReadyError::Exited { exit })
    }

    async fn not_firecracker(&self) -> Option<ReadyError> {
        match self.binary.version().await {
            Err(source @ ProbeVersionError::NotFirecracker { .. }) => {
                Some(ReadyError::NotFirecracker { source })
            }
            Ok(_) | Err(_) => None,
        }
    }
}

/// Firecracker did not become ready.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadyError {
    /// The process ended.
    #[error("Firecracker {exit}")]
    Exited {
        /// How it ended and what it said.
        exit: ProcessExit,
    },
    /// The program is another one.
    #[error("the program started is not Firecracker")]
    NotFirecracker {
        /// What it said when it was asked.
        #[source]
        source: ProbeVersionError,
    },
    /// The socket did not appear.
    #[error("Firecracker did not open {} within {after:?}", path.display())]
    SocketTimedOut {
        /// Where the socket should be.
        path: PathBuf,
        /// How long was waited.
        after: Duration,
        /// The end of Firecracker's log.
        log: String,
    },
    /// The socket is there and cannot be used.
    #[error("Firecracker's socket cannot be used")]
    Unusable {
        /// What happened on connecting.
        #[source]
        source: ConnectError,
    },
    /// The socket took the connection, but the first request failed.
    #[error("Firecracker did not answer its first request")]
    Unanswered {
        /// What became of the request.
        #[source]
        source: ApiError,
    },
}

impl ReadyError {
    /// A stable name of the kind of failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Exited { .. } => "PROCESS_EXITED",
            Self::NotFirecracker { source } => source.code(),
            Self::SocketTimedOut { .. } => "SOCKET_TIMEOUT",
            Self::Unusable { source } => source.code(),
            Self::Unanswered { source } => source.code(),
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFirecracker { source } => source.hint(),
            Self::Unusable { source } => source.hint(),
            Self::Unanswered { source } => source.hint(),
            Self::Exited { .. } | Self::SocketTimedOut { .. } => None,
        }
    }
}

async fn connect_when_there(
    path: &Path,
    process: u32,
    watch: Option<&DirWatch>,
) -> Result<ApiClient, ReadyError> {
    let mut refusals = 0;
    loop {
        let error = match ApiClient::connect_to(path, process).await {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        // Reset: it was closed before the connection was accepted, as when the process ends.
        let is_refusal = matches!(error.kind(), ConnectionRefused | ConnectionReset | WouldBlock);
        match (error.kind(), watch) {
            (NotFound, Some(watch)) => watch.changed().await,
            _ if is_refusal && refusals < PROMPT_ATTEMPTS => {
                refusals += 1;
                std::thread::yield_now();
                yield_now().await;
            }
            _ if is_refusal => sleep(RETRY_DELAY).await,
            _ => return Err(ReadyError::Unusable { source: error }),
        }
    }
}
