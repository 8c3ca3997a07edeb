//! Base images: one kernel and one root file system, with the command line and the Firecracker that
//! go with them.
//!
//! [`HostedManifest`] is how a bundle is described by whoever hosts it.

mod arch;
mod artifact;
mod artifact_url;
mod boot_args;
mod hosted_manifest;
mod manifest_fields;
mod names;
mod rootfs_type;

pub use arch::{Arch, ParseArchError};
pub use artifact::{Artifact, ArtifactSource};
pub use artifact_url::{ArtifactUrl, InvalidArtifactUrl};
pub use boot_args::default_boot_args;
pub use hosted_manifest::{
    HostedManifest, InvalidManifest, MAX_MANIFEST_BYTES, ParseManifestError,
};
pub use manifest_fields::ManifestBreach;
pub use names::{ArtifactFileName, BundleId, InvalidNameError};
pub use rootfs_type::{ParseRootfsTypeError, RootfsType};
