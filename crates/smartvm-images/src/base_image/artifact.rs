//! One file of a hosted bundle.

use std::path::PathBuf;

use super::artifact_url::ArtifactUrl;
use super::names::ArtifactFileName;
use crate::Sha256Digest;

/// A file of a hosted bundle: where it comes from and what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Where it comes from.
    pub source: ArtifactSource,
    /// What it is called in the bundle. Default: as at its source.
    pub file_name: Option<ArtifactFileName>,
    /// How many bytes it must have, when that is said.
    pub size_bytes: Option<u64>,
}

/// Where an artifact comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArtifactSource {
    /// From a server, or from beside the manifest. Its hash must be known: who serves it is not
    /// trusted.
    Url {
        /// The address.
        url: ArtifactUrl,
        /// What its content must hash to.
        sha256: Sha256Digest,
    },
    /// From this host: an absolute path, or one that begins at the manifest's directory. Only a
    /// manifest that is a file of this host too may say so.
    Path {
        /// The file.
        path: PathBuf,
        /// What its content must hash to, when that is said.
        sha256: Option<Sha256Digest>,
    },
}

impl Artifact {
    /// An artifact at an address.
    #[must_use]
    pub fn at_url(url: ArtifactUrl, sha256: Sha256Digest) -> Self {
        Self { source: ArtifactSource::Url { url, sha256 }, file_name: None, size_bytes: None }
    }

    /// An artifact on this host.
    #[must_use]
    pub fn at_path(path: impl Into<PathBuf>) -> Self {
        let source = ArtifactSource::Path { path: path.into(), sha256: None };
        Self { source, file_name: None, size_bytes: None }
    }

    /// The same, called `file_name` in the bundle.
    #[must_use]
    pub fn named(self, file_name: ArtifactFileName) -> Self {
        Self { file_name: Some(file_name), ..self }
    }

    /// The same, with a size that it must have.
    #[must_use]
    pub fn of_size(self, size_bytes: u64) -> Self {
        Self { size_bytes: Some(size_bytes), ..self }
    }

    /// What its content must hash to, when that is said.
    #[must_use]
    pub fn sha256(&self) -> Option<Sha256Digest> {
        match self.source {
            ArtifactSource::Url { sha256, .. } => Some(sha256),
            ArtifactSource::Path { sha256, .. } => sha256,
        }
    }
}
