//! Whether a jailer and a Firecracker are of the same release.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use smartvm_firecracker::{
    FirecrackerBinary, FirecrackerVersion, JailerBinary, ProbeJailerError, ProbeVersionError,
};

/// A jailer that does not belong to its Firecracker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JailerVersionError {
    /// They are of different releases.
    #[error("the jailer {} is of version {jailer}, and Firecracker of {firecracker}", path.display())]
    Differs {
        /// The jailer.
        path: PathBuf,
        /// The jailer's version.
        jailer: FirecrackerVersion,
        /// Firecracker's.
        firecracker: FirecrackerVersion,
    },
    /// The jailer does not say.
    #[error(transparent)]
    Jailer(#[from] ProbeJailerError),
    /// Firecracker does not say.
    #[error(transparent)]
    Firecracker(#[from] ProbeVersionError),
}

/// A file as it was looked at.
type Stamp = (PathBuf, u64, Option<SystemTime>);

/// The pairs that were found to belong together. Programs on disk seldom change, and each costs
/// milliseconds to ask.
static KNOWN: Mutex<Vec<(Stamp, Stamp)>> = Mutex::new(Vec::new());

/// How many pairs are remembered.
const KNOWN_LIMIT: usize = 16;

/// Asks both, unless that was done before.
pub(super) async fn check(
    jailer: &JailerBinary,
    firecracker: &FirecrackerBinary,
) -> Result<(), JailerVersionError> {
    let pair = (stamp(jailer.path()), stamp(firecracker.path()));
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if known().contains(&pair) {
        return Ok(());
    }
    let (of_jailer, of_firecracker) = tokio::join!(jailer.version(), firecracker.version());
    let (of_jailer, of_firecracker) = (of_jailer?, of_firecracker?);
    if of_jailer != of_firecracker {
        return Err(JailerVersionError::Differs {
            path: jailer.path().to_owned(),
            jailer: of_jailer,
            firecracker: of_firecracker,
        });
    }
    let mut known = known();
    if known.len() == KNOWN_LIMIT {
        known.remove(0);
    }
    known.push(pair);
    Ok(())
}

fn stamp(path: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt;
    let found = fs_err::metadata(path).ok();
    let modified = found.as_ref().and_then(|found| found.modified().ok());
    (path.to_owned(), found.map_or(0, |found| found.ino()), modified)
}

impl JailerVersionError {
    /// A stable name of the kind of failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Differs { .. } => "JAILER_VERSION_MISMATCH",
            Self::Jailer(source) => source.code(),
            Self::Firecracker(source) => source.code(),
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Differs { firecracker, .. } => {
                Some(format!("install the jailer of Firecracker {firecracker} beside it"))
            }
            Self::Jailer(source) => source.hint(),
            Self::Firecracker(source) => source.hint(),
        }
    }
}
