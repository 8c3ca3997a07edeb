//! What is known of a snapshot: its `manifest.json`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use smartvm_firecracker::{FirecrackerVersion, SnapshotFormat};
use smartvm_images::Sha256Digest;
use uuid::Uuid;

use super::cpu::CpuIdentity;
use super::name::SnapshotName;
use crate::config::VmConfig;
use crate::vm_id::VmId;

/// What a snapshot is, from what it was made, and what it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SnapshotManifest {
    /// The version of this form: 1.
    pub schema_version: u32,
    /// The state of the guest that this is. Merging keeps it: it is the same state then.
    pub id: Uuid,
    /// The name in the store.
    pub name: SnapshotName,
    /// Whether `memory` is whole, or only what has changed since the parent.
    pub kind: SnapshotKind,
    /// What a differential snapshot was made on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<SnapshotParent>,
    /// When it was made, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// The VM that it was made of.
    pub vm_id: VmId,
    /// The Firecracker that wrote it.
    pub firecracker_version: FirecrackerVersion,
    /// The version of the form in which that Firecracker wrote `vmstate`.
    pub snapshot_format: SnapshotFormat,
    /// As in `uname -m`.
    pub architecture: String,
    /// The host's kernel, as in `uname -r`.
    pub host_kernel: String,
    /// The host's processor.
    pub cpu: CpuIdentity,
    /// What the VM was made of.
    pub config: VmConfig,
    /// The guest's memory in bytes.
    pub memory_size: u64,
    /// The file `vmstate`: devices and processors.
    pub vmstate: FileDigest,
    /// The file `memory`. Of a differential snapshot its data and their places are hashed, of a
    /// full one its content.
    pub memory: FileDigest,
    /// The drives, as Firecracker knew them.
    pub drives: Vec<SavedDrive>,
}

/// How much of the guest's memory a snapshot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotKind {
    /// All of it.
    Full,
    /// What was written since another snapshot.
    Diff,
}

impl std::fmt::Display for SnapshotKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::Diff => "diff",
        })
    }
}

/// The snapshot that another one completes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SnapshotParent {
    /// Its name in the store.
    pub name: SnapshotName,
    /// The state that it is.
    pub id: Uuid,
}

/// What a file must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileDigest {
    /// Its size in bytes, holes included.
    pub size: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: Sha256Digest,
}

impl FileDigest {
    /// Of a file that was not looked at yet.
    pub(crate) fn unknown() -> Self {
        Self { size: 0, sha256: Sha256Digest::of(b"") }
    }
}

/// A drive of the saved guest, or a persistent memory device, which is a file as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SavedDrive {
    /// Its id in the VM.
    pub drive_id: String,
    /// As what the guest has it.
    #[serde(default, skip_serializing_if = "DriveKind::is_block")]
    pub kind: DriveKind,
    /// The name by which Firecracker opens it, relative to the VM's directory.
    pub path: PathBuf,
    /// Whether the guest cannot write to it.
    pub read_only: bool,
    /// Where its content is.
    pub content: DriveContent,
    /// What that content is.
    pub digest: FileDigest,
}

/// As what a guest has a file of the host.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum DriveKind {
    /// A block device.
    #[default]
    Block,
    /// Persistent memory.
    Pmem,
}

impl DriveKind {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
    fn is_block(&self) -> bool {
        *self == Self::Block
    }
}

impl SavedDrive {
    /// The name of its content in the directory `drives` of the snapshot. No id of a drive has a `-`.
    #[must_use]
    pub fn file_name(&self) -> String {
        match self.kind {
            DriveKind::Block => self.drive_id.clone(),
            DriveKind::Pmem => format!("pmem-{}", self.drive_id),
        }
    }
}

/// Where the content of a saved drive is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum DriveContent {
    /// In the snapshot, as [`drives/<file name>`](SavedDrive::file_name): the guest could write to it, or it was the VM's own.
    Captured,
    /// Where it always was: nobody writes to it.
    Shared {
        /// The file.
        path: PathBuf,
    },
}

impl SnapshotManifest {
    /// The version of the form that is written and read.
    pub const SCHEMA_VERSION: u32 = 1;

    /// The most that `vmstate` has, in bytes; Firecracker's own bound is 10 MiB.
    pub const MAX_VMSTATE: u64 = 12 << 20;

    /// The file of a drive's content, in a snapshot that is in `dir`.
    #[must_use]
    pub fn drive_file(dir: &Path, drive: &SavedDrive) -> PathBuf {
        match &drive.content {
            DriveContent::Captured => dir.join(super::files::DRIVES).join(drive.file_name()),
            DriveContent::Shared { path } => path.clone(),
        }
    }
}
