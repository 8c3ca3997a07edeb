//! `GET` and `PATCH /balloon/statistics`.

use serde::{Deserialize, Serialize};

/// What the balloon and the guest say of its memory. What the guest does not report is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalloonStats {
    /// 4 KiB pages that the balloon shall take.
    pub target_pages: u32,
    /// 4 KiB pages that it has taken.
    pub actual_pages: u32,
    /// MiB that the balloon shall take.
    pub target_mib: u32,
    /// MiB that it has taken.
    pub actual_mib: u32,
    /// Bytes read back from swap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap_in: Option<u64>,
    /// Bytes written to swap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap_out: Option<u64>,
    /// Page faults that needed the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub major_faults: Option<u64>,
    /// Page faults that did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minor_faults: Option<u64>,
    /// Bytes that nothing uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_memory: Option<u64>,
    /// Bytes of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_memory: Option<u64>,
    /// Bytes that could be had without swapping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available_memory: Option<u64>,
    /// Bytes of file caches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_caches: Option<u64>,
    /// Huge pages given out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hugetlb_allocations: Option<u64>,
    /// Huge pages that could not be given out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hugetlb_failures: Option<u64>,
    /// Processes killed for want of memory. Since 1.14.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom_kill: Option<u64>,
    /// Allocations that had to wait. Since 1.14.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alloc_stall: Option<u64>,
    /// Pages that the kernel looked at in the background. Since 1.14.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub async_scan: Option<u64>,
    /// Pages that allocations had to look at. Since 1.14.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct_scan: Option<u64>,
    /// Pages that the kernel freed in the background. Since 1.14.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub async_reclaim: Option<u64>,
    /// Pages that allocations had to free. Since 1.14.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct_reclaim: Option<u64>,
}

/// Another interval of the statistics, which must have been on at boot. After boot only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalloonStatsUpdate {
    /// Seconds; not 0.
    pub stats_polling_interval_s: u16,
}
