//! Base images: one kernel and one root file system, with the command line and the Firecracker that
//! go with them.
//!
//! [`BaseImageManager::ensure`] goes `resolve_preset` (→ `bucket` → `listing`, `selection`) or
//! `resolve_hosted` (→ [`HostedManifest`]) for what is wanted, `cache` and `verified` for whether it is
//! there and right, `prepare` for fetching it. [`BundleLease`] keeps a bundle from being removed while a VM
//! uses it.

mod arch;
mod artifact;
mod artifact_url;
mod base_image_error;
mod boot_args;
mod bucket;
mod bundle;
mod cache;
mod cache_limit;
mod copy;
mod first_seen;
mod hosted_manifest;
mod lease;
mod listing;
mod manager;
mod manifest_fields;
mod manifest_location;
mod names;
mod prepare;
mod preset;
mod resolve_hosted;
mod resolve_preset;
mod resolved;
mod rootfs_type;
mod selection;
mod verified;

pub use arch::{Arch, ParseArchError};
pub use artifact::{Artifact, ArtifactSource};
pub use artifact_url::{ArtifactUrl, InvalidArtifactUrl};
pub use base_image_error::{BaseImageError, BundleDamage, PrepareError};
pub use boot_args::default_boot_args;
pub use bucket::{BucketUrl, ListBucketError};
pub use bundle::{BaseImageBundle, BundleSource, Checksums, Sizes, SourceKind};
pub use cache_limit::{CacheLimit, InvalidCacheLimit};
pub use first_seen::ChangedSinceFirstSeen;
pub use hosted_manifest::{
    HostedManifest, InvalidManifest, MAX_MANIFEST_BYTES, ParseManifestError,
};
pub use lease::BundleLease;
pub use listing::{Listing, ParseListingError};
pub use manager::{BaseImage, BaseImageManager, BaseImageManagerOptions, EnsureBaseImage};
pub use manifest_fields::ManifestBreach;
pub use manifest_location::{InvalidManifestUrl, ManifestLocation, ManifestUrl};
pub use names::{ArtifactFileName, BundleId, InvalidNameError};
pub use preset::{ParsePresetError, Preset};
pub use rootfs_type::{ParseRootfsTypeError, RootfsType};
pub use selection::NothingSuitable;
pub use verified::{DamagedFile, Verify};
