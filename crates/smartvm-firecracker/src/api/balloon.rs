//! `GET`, `PUT` and `PATCH /balloon`.

use serde::{Deserialize, Serialize};

/// A device that takes memory from the guest and gives it back. Before boot only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balloon {
    /// MiB to take; at most the guest's memory.
    pub amount_mib: u32,
    /// Whether a guest short of memory may take some back.
    pub deflate_on_oom: bool,
    /// Seconds between two statistics of the guest; Firecracker's default is 0, none at all. After
    /// boot it can be changed, but neither to 0 nor from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats_polling_interval_s: Option<u16>,
    /// Whether the guest can be asked for pages that it does not use (developer preview);
    /// Firecracker's default is no. Since 1.14.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_page_hinting: Option<bool>,
    /// Whether the guest tells of pages that it does not use; Firecracker's default is no. Since
    /// 1.14.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_page_reporting: Option<bool>,
}

/// Another size of the balloon. After boot only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalloonUpdate {
    /// MiB to take; at most the guest's memory.
    pub amount_mib: u32,
}
