//! What is to be downloaded, and what came of it.

use std::path::{Path, PathBuf};

use url::Url;

use crate::Sha256Digest;

/// A file to download.
#[derive(Clone)]
pub struct Download {
    pub(super) url: Url,
    pub(super) target: PathBuf,
    pub(super) name: String,
    pub(super) sha256: Option<Sha256Digest>,
    pub(super) size: Option<u64>,
    pub(super) limit: u64,
}

/// A file that was downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Downloaded {
    /// What it hashes to.
    pub sha256: Sha256Digest,
    /// How many bytes it has.
    pub size: u64,
    /// Whether it was there already: somebody else had downloaded it meanwhile, or before.
    pub was_there: bool,
}

impl Download {
    /// The file at `url` is to become `target`, whose directory exists. It may have at most `limit`
    /// bytes.
    #[must_use]
    pub fn new(url: Url, target: &Path, limit: u64) -> Self {
        let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { url, target: target.to_owned(), name, sha256: None, size: None, limit }
    }

    /// The same, which must hash to `sha256`, when that is known.
    #[must_use]
    pub fn with_sha256(self, sha256: Option<Sha256Digest>) -> Self {
        Self { sha256, ..self }
    }

    /// The same, which must have `size` bytes, when that is known.
    #[must_use]
    pub fn with_size(self, size: Option<u64>) -> Self {
        Self { size, ..self }
    }

    /// The same under this name in progress events. Default: the target's file name.
    #[must_use]
    pub fn called(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// A file beside the target that belongs to its download. No artifact is called so.
    pub(super) fn beside(&self, suffix: &str) -> PathBuf {
        let name = self.target.file_name().unwrap_or_default();
        let mut beside = std::ffi::OsString::from("~");
        beside.push(name);
        beside.push(suffix);
        self.target.with_file_name(beside)
    }
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download")
            .field("url", &crate::shown_url::ShownUrl(&self.url).to_string())
            .field("target", &self.target)
            .field("sha256", &self.sha256)
            .field("size", &self.size)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
