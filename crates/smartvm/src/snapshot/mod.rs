//! Snapshots: a guest as it was at one moment, kept on disk, to go on from any number of times.
//!
//! ```text
//! <dataDir>/snapshots/     0700, ours
//!   <name>/                0700
//!     manifest.json        what it is, what it needs, the SHA-256 of each file
//!     manifest.json.sig    its signature, if it was asked for
//!     vmstate              devices and processors, in Firecracker's own form
//!     memory               the guest's memory, or what has changed of it since the parent
//!     drives/<driveId>     the drives that the guest could write to, as they were at that moment
//!     verified.json        what the files looked like when they were last hashed
//!     origin               that this store made it (a code that only this host can make)
//! ```
//!
//! `store` keeps them, `draft` makes one whole before it has a name, `manifest` and `read` say what
//! one is, `compatible` and `stored` whether it can be loaded here and is what was saved, `merge`
//! makes a differential one full.

mod compatible;
mod cpu;
mod create;
mod digest;
mod draft;
mod extents;
mod files;
mod manifest;
mod merge;
mod name;
mod origin;
mod own_file;
mod read;
mod restore;
mod restored_config;
#[cfg(test)]
mod samples;
mod snapshot_error;
mod store;
mod stored;
mod uffd;

pub use compatible::{HostIdentity, IncompatibleSnapshot};
pub use cpu::CpuIdentity;
pub(crate) use create::{Circumstances, Prepared, now_ms, prepare};
pub use create::{CreateSnapshot, CreateSnapshotError};
pub(crate) use draft::Draft;
pub use manifest::{
    DriveContent, DriveKind, FileDigest, SavedDrive, SnapshotKind, SnapshotManifest, SnapshotParent,
};
pub use merge::MergeSnapshotError;
pub use name::{InvalidSnapshotName, SnapshotName};
pub use read::ReadManifestError;
pub(crate) use restore::RestorePlan;
pub use restore::{MemoryBackend, RestoreRefused, RestoreVm, SharedDrive, TooOld};
pub use smartvm_firecracker::api::NetworkOverride;
pub use smartvm_images::Sha256Digest;
pub use snapshot_error::SnapshotError;
pub use store::{SnapshotStore, SnapshotStoreError};
pub use stored::{Snapshot, Verify, VerifySnapshotError};
pub use uffd::{GuestRegion, GuestRegions, ParseRegionsError, UffdError};
pub(crate) use uffd::{Peer as UffdPeer, UffdHandler};
