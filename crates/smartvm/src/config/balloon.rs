//! Memory that the guest gives back.

use serde::{Deserialize, Serialize};

use smartvm_firecracker::api::Balloon;

use super::invalid::Breaches;

/// A balloon device: it takes memory from the guest, which the host can then use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BalloonConfig {
    /// How much is taken, in MiB; at most the guest's memory.
    pub amount_mib: u32,
    /// Whether the guest takes memory back before it would end a program for lack of it. Default: no.
    #[serde(default)]
    pub deflate_on_oom: bool,
    /// Every how many seconds the guest reports on its memory. Absent or 0: never, and that cannot be
    /// changed while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats_polling_interval_s: Option<u16>,
    /// Whether the guest can be asked for its free pages (developer preview). Since Firecracker 1.14.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_page_hinting: Option<bool>,
    /// Whether the guest gives free pages back as they become free. Since Firecracker 1.14.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_page_reporting: Option<bool>,
}

impl BalloonConfig {
    /// Checks the balloon of a guest with `memory_mib`.
    pub(crate) fn check(&self, memory_mib: u64, breaches: &mut Breaches) {
        breaches.require(
            u64::from(self.amount_mib) <= memory_mib,
            "balloon.amountMib",
            "must be <= machineConfig.memSizeMib",
        );
    }

    pub(crate) fn to_wire(&self) -> Balloon {
        Balloon {
            amount_mib: self.amount_mib,
            deflate_on_oom: self.deflate_on_oom,
            stats_polling_interval_s: self.stats_polling_interval_s,
            free_page_hinting: self.free_page_hinting,
            free_page_reporting: self.free_page_reporting,
        }
    }
}
