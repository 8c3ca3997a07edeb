//! Keys in files.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding};
use rustix::process::geteuid;
use thiserror::Error;

use crate::regular_file::{ReadFileError, open_regular, read_regular};

/// The largest file of a key that is read, in bytes.
const MAX_BYTES: u64 = 4096;

/// A key that cannot be used. Code `KEY_UNUSABLE`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be read.
    #[error("failed to read the key")]
    Read(#[source] ReadFileError),
    /// Others have the secret key as well.
    #[error("the secret key {} can be read by others (mode {mode:03o})", path.display())]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is somebody else's.
    #[error("the secret key {} belongs to user {uid}", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// It is no such key.
    #[error("{} is no {what}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
    },
}

impl KeyError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "KEY_UNUSABLE"
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Read(_) => return None,
            Self::OpenToOthers { path, .. } => format!("chmod 600 {}", path.display()),
            Self::NotOurs { .. } => "use a key of your own".to_owned(),
            Self::Form { .. } => "make a pair of keys: openssl genpkey -algorithm ed25519 -out \
                                  secret.pem; openssl pkey -in secret.pem -pubout -out public.pem"
                .to_owned(),
        })
    }
}

/// Refuses a file that others can read, or that is not ours.
pub(super) fn check_secret(path: &Path) -> Result<(), KeyError> {
    let file = open_regular(path).map_err(KeyError::Read)?;
    let found = file
        .metadata()
        .map_err(|source| KeyError::Read(ReadFileError::Io { path: path.to_owned(), source }))?;
    if found.uid() != geteuid().as_raw() {
        return Err(KeyError::NotOurs { path: path.to_owned(), uid: found.uid() });
    }
    let mode = found.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::OpenToOthers { path: path.to_owned(), mode });
    }
    Ok(())
}

/// The content of the one section of a PEM file, which must be called `label`.
pub(super) fn read(path: &Path, label: &str, what: &'static str) -> Result<Vec<u8>, KeyError> {
    let text = read_regular(path, MAX_BYTES).map_err(KeyError::Read)?;
    parse(&text, label).ok_or_else(|| KeyError::Form { path: path.to_owned(), what })
}

fn parse(text: &[u8], label: &str) -> Option<Vec<u8>> {
    let mut lines = std::str::from_utf8(text).ok()?.lines().map(str::trim);
    lines.find(|line| *line == format!("-----BEGIN {label}-----"))?;
    let end = format!("-----END {label}-----");
    let mut base64 = String::new();
    loop {
        match lines.next()? {
            line if line == end => break,
            line => base64.push_str(line),
        }
    }
    Base64::decode_vec(&base64).ok()
}
