//! `GET`, `PUT` and `PATCH /hotplug/memory`, since 1.14.

use serde::{Deserialize, Serialize};

/// Memory that the guest can be given after boot. Before boot only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryHotplugConfig {
    /// MiB in all: a multiple of the slot's size.
    pub total_size_mib: u64,
    /// MiB of one slot, at least 128 and a multiple of the block's size; Firecracker's default is
    /// 128.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot_size_mib: Option<u64>,
    /// MiB of one block, a power of two from 2; Firecracker's default is 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_size_mib: Option<u64>,
}

/// How much of it the guest shall have. After boot only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryHotplugSizeUpdate {
    /// MiB: at most all of it, a multiple of the block's size.
    pub requested_size_mib: u64,
}

/// How much of it the guest has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryHotplugStatus {
    /// MiB in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_size_mib: Option<u64>,
    /// MiB of one slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot_size_mib: Option<u64>,
    /// MiB of one block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_size_mib: Option<u64>,
    /// MiB that the guest has taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugged_size_mib: Option<u64>,
    /// MiB that it shall have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_size_mib: Option<u64>,
}
