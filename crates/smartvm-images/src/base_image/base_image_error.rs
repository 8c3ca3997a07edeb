//! What can go wrong with base images.

use std::io;
use std::path::PathBuf;

use smartvm_dir::UnsafeDirectory;
use thiserror::Error;

use super::arch::Arch;
use super::bucket::ListBucketError;
use super::first_seen::ChangedSinceFirstSeen;
use super::hosted_manifest::{InvalidManifest, ParseManifestError};
use super::names::BundleId;
use super::selection::NothingSuitable;
use super::verified::DamagedFile;
use crate::ReadFileError;
use crate::download::DownloadError;
use crate::release::{ReleaseError, ReleaseVersion};
use crate::signature::{KeyError, SignatureError};

/// The reason why a base image was not had, listed or removed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BaseImageError {
    /// The preset needs a manifest.
    #[error("the hosted base image needs a manifest, by URL or path")]
    NoManifest,
    /// The manifest could not be fetched.
    #[error("failed to fetch the base image manifest")]
    FetchManifest(#[source] DownloadError),
    /// The manifest could not be read.
    #[error("failed to read the base image manifest")]
    ReadManifest(#[source] ReadFileError),
    /// The key that manifests must be signed by cannot be used.
    #[error("nothing can be verified")]
    Key(#[from] KeyError),
    /// The base image is not signed by that key.
    #[error("the base image is not trusted")]
    Signature(#[from] SignatureError),
    /// The manifest is none.
    #[error(transparent)]
    Parse(#[from] ParseManifestError),
    /// The manifest breaks a rule that it cannot know of alone.
    #[error(transparent)]
    Invalid(#[from] InvalidManifest),
    /// The latest version of Firecracker could not be asked for.
    #[error(transparent)]
    Version(ReleaseError),
    /// The bucket of Firecracker's CI could not be listed.
    #[error("failed to list what Firecracker's CI has for {firecracker} on {arch}")]
    List {
        /// The version.
        firecracker: ReleaseVersion,
        /// The processor.
        arch: Arch,
        /// What went wrong.
        #[source]
        source: ListBucketError,
    },
    /// The bucket has no kernel or no root file system.
    #[error(
        "Firecracker's CI has nothing for {firecracker} on {arch}; looked at {}",
        places(looked_at)
    )]
    Nothing {
        /// The version.
        firecracker: ReleaseVersion,
        /// The processor.
        arch: Arch,
        /// The places in the bucket, each with what it lacks.
        looked_at: Vec<(String, NothingSuitable)>,
    },
    /// What makes the bundle could not be had.
    #[error("failed to prepare base image {bundle_id}")]
    Prepare {
        /// The bundle.
        bundle_id: BundleId,
        /// What went wrong.
        #[source]
        source: Box<PrepareError>,
    },
    /// There is no such bundle in the cache.
    #[error("no base image `{bundle_id}` in the cache; there is: {}", list(cached))]
    NotFound {
        /// The bundle.
        bundle_id: BundleId,
        /// Those that are.
        cached: Vec<BundleId>,
    },
    /// A bundle in the cache is not what was put there.
    #[error("base image {bundle_id} is damaged")]
    Damaged {
        /// The bundle.
        bundle_id: BundleId,
        /// What is wrong with it.
        #[source]
        source: BundleDamage,
    },
    /// A VM uses the bundle.
    #[error("base image {bundle_id} is in use")]
    InUse {
        /// The bundle.
        bundle_id: BundleId,
    },
    /// The cache's directory cannot be used.
    #[error(transparent)]
    Dir(#[from] UnsafeDirectory),
    /// The operating system refused.
    #[error("failed to {action} `{}`", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The reason why a bundle could not be prepared.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// A download failed.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// A file of this host could not be read.
    #[error(transparent)]
    Source(#[from] ReadFileError),
    /// A file of this host is not what the manifest says.
    #[error("`{}` has {what} {found} and not {expected}", path.display())]
    WrongSource {
        /// The file.
        path: PathBuf,
        /// What differs: its size, its SHA-256.
        what: &'static str,
        /// As the manifest says.
        expected: String,
        /// As it is.
        found: String,
    },
    /// Something else than before is served under an address without checksum.
    #[error(transparent)]
    Changed(#[from] ChangedSinceFirstSeen),
    /// What was just written could not be looked at.
    #[error(transparent)]
    Written(#[from] DamagedFile),
    /// The operating system refused.
    #[error("failed to {action} `{}`", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// What is wrong with a bundle in the cache.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BundleDamage {
    /// Its description cannot be read.
    #[error("its manifest.json cannot be read")]
    Read(#[source] ReadFileError),
    /// Its description makes no sense.
    #[error("its manifest.json cannot be understood")]
    Parse(#[source] serde_json::Error),
    /// Its description names files that are not its own, or another bundle.
    #[error("its manifest.json names what is not in its directory")]
    Elsewhere,
    /// It lacks checksums or sizes.
    #[error("its manifest.json lacks checksums or sizes")]
    Unverifiable,
    /// A file is not what it must be.
    #[error(transparent)]
    File(#[from] DamagedFile),
}

impl BaseImageError {
    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoManifest | Self::FetchManifest(_) | Self::ReadManifest(_) => {
                "BASE_IMAGE_MANIFEST_FAILED"
            }
            Self::Key(error) => error.code(),
            Self::Signature(SignatureError::Unsigned) => "BASE_IMAGE_UNSIGNED",
            Self::Signature(_) => "BASE_IMAGE_WRONG_SIGNATURE",
            Self::Parse(error) => error.code(),
            Self::Invalid(error) => error.code(),
            Self::Version(error) => error.code(),
            Self::List { .. } | Self::Nothing { .. } => "BASE_IMAGE_RESOLVE_FAILED",
            Self::Prepare { .. } => "BASE_IMAGE_PREPARE_FAILED",
            Self::NotFound { .. } => "BASE_IMAGE_NOT_FOUND",
            Self::Damaged { .. } => "BASE_IMAGE_DAMAGED",
            Self::InUse { .. } => "BASE_IMAGE_IN_USE",
            Self::Dir(error) => error.code(),
            Self::Io { .. } => "BASE_IMAGE_CACHE_FAILED",
        }
    }

    /// What a person can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoManifest => Some("name one with manifestUrl or manifestPath".to_owned()),
            Self::FetchManifest(error)
            | Self::List { source: ListBucketError::Download(error), .. } => error.hint(),
            Self::Prepare { source, .. } => source.hint(),
            Self::Version(error) => error.hint(),
            Self::Key(error) => error.hint(),
            Self::Signature(SignatureError::Unsigned) => Some(
                "use a manifest with its signature beside it, as `smartvm image build --sign KEY` \
                 makes them; those of Firecracker's CI have none"
                    .to_owned(),
            ),
            Self::NotFound { .. } => Some("fetch one: smartvm image pull".to_owned()),
            Self::Damaged { .. } => Some("fetch it again: smartvm image pull --force".to_owned()),
            Self::InUse { .. } => Some("stop the VM that runs it first".to_owned()),
            Self::Dir(error) => error.hint(),
            _ => None,
        }
    }
}

impl PrepareError {
    /// What a person can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Download(error) => error.hint(),
            Self::Changed(_) => Some(
                "if the change is right, accept it: smartvm image pull --accept-changed".to_owned(),
            ),
            _ => None,
        }
    }

    /// Whether what has come so far can be built upon by the next try.
    pub(super) fn leaves_a_part(&self) -> bool {
        matches!(self, Self::Download(error) if !error.is_about_content())
    }
}

fn list(ids: &[BundleId]) -> String {
    if ids.is_empty() {
        return "none".to_owned();
    }
    ids.iter().map(BundleId::as_str).collect::<Vec<_>>().join(", ")
}

fn places(looked_at: &[(String, NothingSuitable)]) -> String {
    let places = looked_at.iter().map(|(place, lacks)| format!("{place} ({lacks})"));
    let places = places.collect::<Vec<_>>().join(", ");
    if places.is_empty() { "no place: the bucket is empty".to_owned() } else { places }
}
