//! Asking a program whether it is Firecracker, and which.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::timeout;

use super::FirecrackerBinary;
use crate::FirecrackerVersion;
use crate::process::{SpawnRequest, spawn};

/// Firecracker needs some milliseconds.
pub(crate) const PROBE_DEADLINE: Duration = Duration::from_secs(5);

/// As much of the output as is read. The version is in its first line.
const PROBE_OUTPUT_LIMIT: u64 = 1024;

/// As much of a foreign program's first line as is quoted.
const QUOTE_LIMIT: usize = 80;

impl FirecrackerBinary {
    /// Runs the program with `--version` and reads what it says.
    ///
    /// The program gets no input, no environment and 5 seconds; it is killed when that passes or
    /// the future is dropped.
    ///
    /// # Errors
    /// When it cannot be run, does not answer, or does not say that it is Firecracker.
    pub async fn version(&self) -> Result<FirecrackerVersion, ProbeVersionError> {
        self.probe("--version", |output| read_version(output, "Firecracker")).await
    }

    /// Runs the program with one argument and reads its output with `read`.
    pub(super) async fn probe<T>(
        &self,
        argument: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ProbeVersionError> {
        let path = || self.path().to_owned();
        let output = match timeout(PROBE_DEADLINE, output_of(self.path(), argument)).await {
            Ok(Ok(output)) => output,
            Ok(Err(source)) => return Err(ProbeVersionError::Run { path: path(), source }),
            Err(_) => {
                return Err(ProbeVersionError::TimedOut { path: path(), after: PROBE_DEADLINE });
            }
        };
        read(&output).ok_or_else(|| ProbeVersionError::NotFirecracker {
            path: path(),
            output: first_line(&output),
        })
    }
}

/// The start of what a program prints when it is run with one argument. The child is killed and
/// reaped when it goes out of scope.
pub(crate) async fn output_of(program: &Path, argument: &str) -> io::Result<String> {
    let request = SpawnRequest {
        program: program.to_owned(),
        args: vec![argument.into()],
        die_with_parent: true,
        ..SpawnRequest::default()
    };
    let spawned = spawn(request).await?;
    drop(spawned.stdin);
    let stdout = pipe::Receiver::from_owned_fd(spawned.stdout)?;
    let mut output = Vec::new();
    stdout.take(PROBE_OUTPUT_LIMIT).read_to_end(&mut output).await?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}

/// The program did not say which Firecracker it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeVersionError {
    /// It said something else.
    #[error("{} is not Firecracker: asked for its version, it printed {output:?}", path.display())]
    NotFirecracker {
        /// The program.
        path: PathBuf,
        /// The first line it printed.
        output: String,
    },
    /// It said nothing in time.
    #[error("{} did not tell its version within {after:?}", path.display())]
    TimedOut {
        /// The program.
        path: PathBuf,
        /// How long it had.
        after: Duration,
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

impl ProbeVersionError {
    /// A stable name of the kind of failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFirecracker { .. } | Self::TimedOut { .. } => "NOT_FIRECRACKER",
            Self::Run { .. } => "FIRECRACKER_NOT_EXECUTABLE",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFirecracker { path, .. } | Self::TimedOut { path, .. } => {
                Some(format!("run `{} --version` and look at what it says", path.display()))
            }
            Self::Run { .. } => None,
        }
    }
}

/// The version in output such as `Firecracker v1.12.1\n\n…`.
pub(crate) fn read_version(output: &str, program: &str) -> Option<FirecrackerVersion> {
    let version = output.strip_prefix(program)?.strip_prefix(" v")?;
    version.lines().next()?.trim_end().parse().ok()
}

pub(crate) fn first_line(output: &str) -> String {
    let line = output.trim_start().lines().next().unwrap_or_default();
    line[..line.floor_char_boundary(QUOTE_LIMIT)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn probe(path: &str) -> Result<FirecrackerVersion, ProbeVersionError> {
        FirecrackerBinary::open(path.as_ref()).unwrap().version().await
    }

    #[test]
    fn reads_the_version_and_nothing_after_it() {
        let output = "Firecracker v1.12.1\n\n2026-01-01T00:00:00 [anonymous-instance:main] bye\n";
        assert_eq!(read_version(output, "Firecracker"), Some(FirecrackerVersion::new(1, 12, 1)));
        assert_eq!(
            read_version("Firecracker v1.17.0-dev\n", "Firecracker").unwrap().to_string(),
            "1.17.0-dev"
        );
        assert_eq!(read_version("firecracker 1.12.1", "Firecracker"), None);
        assert_eq!(read_version("", "Firecracker"), None);
    }

    #[tokio::test]
    async fn another_program_is_not_firecracker() {
        let error = probe("/bin/echo").await.unwrap_err();
        assert_eq!(error.code(), "NOT_FIRECRACKER");
    }
}
