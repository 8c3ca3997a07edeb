//! The requests of Firecracker's API that make and load snapshots.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use smartvm_firecracker::{ApiClient, ApiError};

/// Asks a paused Firecracker to write its state and memory to two files.
pub(crate) async fn ask_to_save(
    client: &ApiClient,
    differential: bool,
    vmstate: &Path,
    memory: &Path,
) -> Result<(), ApiError> {
    let body = SnapshotCreateParams {
        snapshot_type: if differential { "Diff" } else { "Full" },
        snapshot_path: vmstate,
        mem_file_path: memory,
    };
    client.put("/snapshot/create", &body).await
}

/// Asks an unused Firecracker to become what was saved.
pub(crate) async fn ask_to_load(
    client: &ApiClient,
    params: &SnapshotLoadParams<'_>,
) -> Result<(), ApiError> {
    client.put("/snapshot/load", params).await
}

/// The drives as Firecracker knows them at this moment.
pub(crate) async fn ask_for_drives(client: &ApiClient) -> Result<Vec<KnownDrive>, ApiError> {
    Ok(client.get::<FullVmConfiguration>("/vm/config").await?.drives)
}

#[derive(Debug, Serialize)]
struct SnapshotCreateParams<'a> {
    snapshot_type: &'static str,
    snapshot_path: &'a Path,
    mem_file_path: &'a Path,
}

#[derive(Debug, Serialize)]
pub(crate) struct SnapshotLoadParams<'a> {
    pub(crate) snapshot_path: &'a Path,
    pub(crate) mem_backend: LoadBackend<'a>,
    pub(crate) resume_vm: bool,
    /// Its name until 1.12.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) enable_diff_snapshots: Option<bool>,
    /// Its name since 1.13.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) track_dirty_pages: Option<bool>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) network_overrides: &'a [super::restore::NetworkOverride],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vsock_override: Option<VsockOverride<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) clock_realtime: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct LoadBackend<'a> {
    pub(crate) backend_type: &'static str,
    pub(crate) backend_path: &'a Path,
}

#[derive(Debug, Serialize)]
pub(crate) struct VsockOverride<'a> {
    pub(crate) uds_path: &'a Path,
}

/// The part of `GET /vm/config` that a snapshot depends on.
#[derive(Debug, Deserialize)]
struct FullVmConfiguration {
    #[serde(default)]
    drives: Vec<KnownDrive>,
}

/// A drive as Firecracker knows it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct KnownDrive {
    pub(crate) drive_id: String,
    pub(crate) path_on_host: Option<PathBuf>,
    pub(crate) is_read_only: Option<bool>,
}
