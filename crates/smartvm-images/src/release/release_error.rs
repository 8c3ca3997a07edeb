//! What can go wrong with releases.

use std::io;
use std::path::PathBuf;

use smartvm_dir::UnsafeDirectory;
use thiserror::Error;

use super::archive::ArchiveError;
use super::checksum::ParseChecksumError;
use super::version::ReleaseVersion;
use crate::base_image::Arch;
use crate::download::DownloadError;

/// The reason why a release was not found, installed, listed or removed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The latest version could not be asked for.
    #[error("failed to find out the latest version of Firecracker")]
    Latest(#[source] DownloadError),
    /// The page of the latest release was not where such a page is.
    #[error("failed to find out the latest version of Firecracker: it was sent to {url}")]
    NoVersion {
        /// Where it was sent to.
        url: String,
    },
    /// The archive or its checksum could not be had.
    #[error("failed to download Firecracker {version}")]
    Download {
        /// The version.
        version: ReleaseVersion,
        /// What went wrong.
        #[source]
        source: DownloadError,
    },
    /// The published checksum is none.
    #[error("the checksum of Firecracker {version} is of no use")]
    Checksum {
        /// The version.
        version: ReleaseVersion,
        /// What is wrong with it.
        #[source]
        source: ParseChecksumError,
    },
    /// The archive is not what a release is.
    #[error("failed to unpack Firecracker {version}")]
    Unpack {
        /// The version.
        version: ReleaseVersion,
        /// What is wrong with it.
        #[source]
        source: ArchiveError,
    },
    /// This host cannot run it.
    #[error("Firecracker for {asked} cannot run here: this host is {}", Arch::HOST)]
    OtherArch {
        /// The processor that was asked for.
        asked: Arch,
    },
    /// It is not installed.
    #[error("Firecracker {version} is not installed; there is: {}", list(installed))]
    NotInstalled {
        /// The version.
        version: ReleaseVersion,
        /// Those that are.
        installed: Vec<ReleaseVersion>,
    },
    /// The directory of releases cannot be used.
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

impl ReleaseError {
    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Latest(_) | Self::NoVersion { .. } => "VERSION_FETCH_FAILED",
            Self::Download { .. } | Self::Checksum { .. } | Self::Unpack { .. } => {
                "DOWNLOAD_FAILED"
            }
            Self::OtherArch { .. } => "FIRECRACKER_WRONG_ARCH",
            Self::NotInstalled { .. } => "FIRECRACKER_NOT_FOUND",
            Self::Dir(error) => error.code(),
            Self::Io { .. } => "IMAGE_STORE_FAILED",
        }
    }

    /// What a person can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Latest(source) => source.hint(),
            Self::NoVersion { .. } => {
                Some("name the version: smartvm firecracker install v1.12.1".to_owned())
            }
            Self::Download { source: DownloadError::Status { status: 404, .. }, version } => {
                Some(format!("see whether there is a release {version} for this processor"))
            }
            Self::Download { source, .. } => source.hint(),
            Self::Checksum { .. } | Self::Unpack { .. } => {
                Some("what is served is no release of Firecracker: ask whoever hosts it".to_owned())
            }
            Self::NotInstalled { version, .. } => {
                Some(format!("install it: smartvm firecracker install {version}"))
            }
            Self::Dir(error) => error.hint(),
            Self::OtherArch { .. } | Self::Io { .. } => None,
        }
    }
}

fn list(versions: &[ReleaseVersion]) -> String {
    if versions.is_empty() {
        return "none".to_owned();
    }
    versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
