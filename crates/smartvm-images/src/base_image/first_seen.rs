//! What files without a published checksum hashed to when they were first seen.
//!
//! Firecracker's CI publishes none. What is served later under the same address must be the same, or
//! somebody must say that the change is right.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::Sha256Digest;
use crate::atomic_file::write_durably;
use crate::file_lock::FileLock;
use crate::regular_file::read_regular;
use crate::shown_url::ShownUrl;

const FILE: &str = "~first-seen.json";
const MAX_BYTES: u64 = 16 << 20;

/// The record of a cache.
#[derive(Debug, Clone)]
pub(super) struct FirstSeen {
    path: PathBuf,
    lock: PathBuf,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Seen {
    sha256: Sha256Digest,
    first_seen_at: String,
}

/// Something else than before is served under an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url} has the SHA-256 {found} and had {expected} when it was first seen, {first_seen_at}")]
pub struct ChangedSinceFirstSeen {
    /// The address.
    pub url: String,
    /// What it hashed to then.
    pub expected: Sha256Digest,
    /// What it hashes to now.
    pub found: Sha256Digest,
    /// When that was.
    pub first_seen_at: String,
}

impl FirstSeen {
    pub(super) fn of(cache_dir: &Path) -> Self {
        Self { path: cache_dir.join(FILE), lock: cache_dir.join("~locks/~first-seen.lock") }
    }

    /// What an address hashed to when it was first seen.
    pub(super) fn expected(&self, url: &Url) -> io::Result<Option<(Sha256Digest, String)>> {
        let seen = self.read()?.remove(&ShownUrl(url).to_string());
        Ok(seen.map(|seen| (seen.sha256, seen.first_seen_at)))
    }

    /// Takes note of what an address hashes to, in place of what is known.
    pub(super) async fn note(&self, url: &Url, sha256: Sha256Digest) -> io::Result<()> {
        let lock = Arc::new(FileLock::exclusive(&self.lock, || ()).await?);
        let (this, url) = (self.clone(), ShownUrl(url).to_string());
        crate::file_lock::blocking(move || {
            let _lock = lock;
            let mut all = this.read()?;
            let first_seen_at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
            all.insert(url, Seen { sha256, first_seen_at });
            write_durably(&this.path, &serde_json::to_vec_pretty(&all)?)
        })
        .await
    }

    /// A record that cannot be read is an error: to begin a new one would believe whatever comes.
    fn read(&self) -> io::Result<BTreeMap<String, Seen>> {
        match fs_err::symlink_metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            other => other?,
        };
        let text = read_regular(&self.path, MAX_BYTES).map_err(io::Error::other)?;
        serde_json::from_slice(&text).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_first_seen_is_known_until_another_is_noted() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir(dir.path().join("~locks")).unwrap();
        let record = FirstSeen::of(dir.path());
        let url: Url = "http://host/a".parse().unwrap();
        assert_eq!(record.expected(&url).unwrap(), None);
        record.note(&url, Sha256Digest::of(b"a")).await.unwrap();
        let seen = FirstSeen::of(dir.path()).expected(&url).unwrap().unwrap();
        assert_eq!(seen.0, Sha256Digest::of(b"a"));
        record.note(&url, Sha256Digest::of(b"b")).await.unwrap();
        assert_eq!(record.expected(&url).unwrap().unwrap().0, Sha256Digest::of(b"b"));
    }

    #[test]
    fn a_damaged_record_is_not_taken_for_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join(FILE), "{").unwrap();
        FirstSeen::of(dir.path()).expected(&"http://host/a".parse().unwrap()).unwrap_err();
    }
}
