//! Firecracker's own releases.

mod version;

pub use version::{ParseReleaseVersionError, ReleaseVersion};
