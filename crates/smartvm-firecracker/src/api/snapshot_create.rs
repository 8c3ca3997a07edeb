//! `PUT /snapshot/create`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a paused VM is written to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotCreateParams {
    /// The file for the guest's memory. A diff written over its base becomes the whole.
    pub mem_file_path: PathBuf,
    /// The file for the state of processors and devices.
    pub snapshot_path: PathBuf,
    /// How much memory is written; Firecracker's default is [`SnapshotType::Full`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_type: Option<SnapshotType>,
}

/// How much memory is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnapshotType {
    /// All of it.
    Full,
    /// What changed since the last snapshot (developer preview).
    Diff,
}
