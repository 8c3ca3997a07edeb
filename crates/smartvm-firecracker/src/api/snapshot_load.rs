//! `PUT /snapshot/load`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{DeviceId, HugePages};

/// What a fresh Firecracker becomes. Before anything of the guest was configured; when it fails,
/// Firecracker ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotLoadParams {
    /// The file of the state of processors and devices.
    pub snapshot_path: PathBuf,
    /// Where the memory comes from. Either this or `mem_file_path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem_backend: Option<MemoryBackend>,
    /// The file of the memory; deprecated by Firecracker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem_file_path: Option<PathBuf>,
    /// Whether KVM notes changed pages from now on; deprecated by Firecracker in 1.13.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_diff_snapshots: Option<bool>,
    /// Whether KVM notes changed pages from now on; Firecracker's default is no. Since 1.13.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track_dirty_pages: Option<bool>,
    /// Whether the guest runs at once; Firecracker's default is no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_vm: Option<bool>,
    /// Other TAP devices for the interfaces. Since 1.12.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network_overrides: Vec<NetworkOverride>,
    /// Another socket for the vsock. Since 1.16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vsock_override: Option<VsockOverride>,
    /// Whether the guest's kvm-clock is set to the host's time (x86_64, host kernel 5.16 or newer);
    /// Firecracker's default is no. Since 1.14.4 and 1.15.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_realtime: Option<bool>,
    /// What backs the guest's memory; Firecracker's default is what the snapshot says. Since 1.17.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub huge_pages: Option<SnapshotHugePages>,
}

impl SnapshotLoadParams {
    /// A load that leaves the guest paused, all else as Firecracker has it by default.
    #[must_use]
    pub fn new(snapshot_path: impl Into<PathBuf>, mem_backend: MemoryBackend) -> Self {
        Self {
            snapshot_path: snapshot_path.into(),
            mem_backend: Some(mem_backend),
            mem_file_path: None,
            enable_diff_snapshots: None,
            track_dirty_pages: None,
            resume_vm: None,
            network_overrides: Vec::new(),
            vsock_override: None,
            clock_realtime: None,
            huge_pages: None,
        }
    }
}

/// Where the memory of a loaded guest comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryBackend {
    /// Of which kind the path is.
    pub backend_type: MemoryBackendType,
    /// The memory file, which may not change for as long as the guest lives; or the socket on
    /// which a handler of page faults already listens.
    pub backend_path: PathBuf,
}

/// Who reads the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemoryBackendType {
    /// The kernel, from the mapped file, page by page.
    File,
    /// A process that handles the page faults.
    Uffd,
}

/// Another TAP device for one interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkOverride {
    /// The interface, which must be in the snapshot.
    pub iface_id: DeviceId,
    /// Its TAP device from now on.
    pub host_dev_name: String,
}

/// Another socket for the vsock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VsockOverride {
    /// The socket from now on; the snapshot must have a vsock.
    pub uds_path: PathBuf,
}

/// What backs the memory of a loaded guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnapshotHugePages {
    /// What backed it when the snapshot was taken.
    Snapshot,
    /// As [`HugePages::None`].
    None,
    /// As [`HugePages::Transparent`].
    Transparent,
    /// As [`HugePages::TwoMib`]; needs [`MemoryBackendType::Uffd`].
    #[serde(rename = "2M")]
    TwoMib,
}

impl From<HugePages> for SnapshotHugePages {
    fn from(pages: HugePages) -> Self {
        match pages {
            HugePages::None => Self::None,
            HugePages::Transparent => Self::Transparent,
            HugePages::TwoMib => Self::TwoMib,
        }
    }
}
