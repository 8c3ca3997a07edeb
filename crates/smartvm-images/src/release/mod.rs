//! Firecracker's own releases: which there are, their archives, and the programs out of them.
//!
//! `source` knows the addresses, `checksum` and `archive` read what comes from there, `store` keeps the
//! programs, one directory a version, and `install` brings one in.

mod archive;
mod checksum;
mod install;
mod release_error;
mod source;
mod store;
mod version;

pub use archive::{ArchiveError, Program, ReleaseArchive};
pub use checksum::ParseChecksumError;
pub use release_error::ReleaseError;
pub use source::{InvalidBaseUrl, ReleaseSource};
pub(crate) use source::{base_url, below};
pub(crate) use store::remove_tree;
pub use store::{InstalledRelease, ReleaseStore};
pub(crate) use version::parse_number;
pub use version::{ParseReleaseVersionError, ReleaseVersion};
