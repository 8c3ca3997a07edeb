//! Asking the jailer which it is.

use std::io;
use std::path::PathBuf;

use tokio::time::timeout;

use super::JailerBinary;
use crate::FirecrackerVersion;
use crate::binary::{PROBE_DEADLINE, first_line, output_of, read_version};

impl JailerBinary {
    /// Runs the program with `--version` and reads what it says, as
    /// [`FirecrackerBinary::version`](crate::FirecrackerBinary::version) does.
    ///
    /// # Errors
    /// When it cannot be run, does not answer within 5 seconds, or says something else.
    pub async fn version(&self) -> Result<FirecrackerVersion, ProbeJailerError> {
        let path = || self.path().to_owned();
        let output = match timeout(PROBE_DEADLINE, output_of(self.path(), "--version")).await {
            Ok(Ok(output)) => output,
            Ok(Err(source)) => return Err(ProbeJailerError::Run { path: path(), source }),
            Err(_) => String::new(),
        };
        let version = read_version(&output, "Jailer");
        version.ok_or_else(|| ProbeJailerError::NotJailer {
            path: path(),
            output: first_line(&output),
        })
    }
}

/// The program did not say which jailer it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeJailerError {
    /// It said something else, or nothing in time.
    #[error("{} is not Firecracker's jailer: asked for its version, it printed {output:?}", path.display())]
    NotJailer {
        /// The program.
        path: PathBuf,
        /// The first line it printed.
        output: String,
    },
    /// It could not be run.
    #[error("failed to ask {} for its version", path.display())]
    Run {
        /// The program.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

impl ProbeJailerError {
    /// A stable name of the kind of failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotJailer { .. } => "NOT_JAILER",
            Self::Run { .. } => "JAILER_NOT_EXECUTABLE",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotJailer { path, .. } => {
                Some(format!("run `{} --version` and look at what it says", path.display()))
            }
            Self::Run { .. } => None,
        }
    }
}
