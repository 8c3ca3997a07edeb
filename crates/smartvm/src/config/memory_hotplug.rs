//! Memory that comes and goes while the guest runs.

use serde::{Deserialize, Serialize};

use smartvm_firecracker::api;

use super::invalid::Breaches;

/// Memory beyond `machineConfig.memSizeMib` that the guest can be given later (virtio-mem). Since
/// Firecracker 1.14. It is all unplugged at first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryHotplugConfig {
    /// The most that can be plugged, in MiB: a multiple of the slot size.
    pub total_size_mib: u64,
    /// What the host gives at a time, in MiB: at least 128, a multiple of the block size.
    /// Firecracker's default is 128.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot_size_mib: Option<u64>,
    /// What the guest plugs at a time, in MiB: a power of two, at least 2. Firecracker's default is 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_size_mib: Option<u64>,
}

impl MemoryHotplugConfig {
    pub(crate) fn to_wire(&self) -> api::MemoryHotplugConfig {
        api::MemoryHotplugConfig {
            total_size_mib: self.total_size_mib,
            slot_size_mib: self.slot_size_mib,
            block_size_mib: self.block_size_mib,
        }
    }

    pub(crate) fn check(&self, breaches: &mut Breaches) {
        let (slot, block) = (self.slot_size_mib(), self.block_size_mib());
        let block_is_sound = block >= 2 && block.is_power_of_two();
        breaches.require(
            block_is_sound,
            "memoryHotplug.blockSizeMib",
            "must be a power of two and >= 2",
        );
        let slot_is_sound = slot >= 128 && (!block_is_sound || slot.is_multiple_of(block));
        breaches.require(
            slot_is_sound,
            "memoryHotplug.slotSizeMib",
            "must be >= 128 and a multiple of blockSizeMib",
        );
        breaches.require(
            self.total_size_mib > 0 && (!slot_is_sound || self.total_size_mib.is_multiple_of(slot)),
            "memoryHotplug.totalSizeMib",
            "must be a multiple of slotSizeMib and more than 0",
        );
    }

    /// The slot size in force.
    #[must_use]
    pub fn slot_size_mib(&self) -> u64 {
        self.slot_size_mib.unwrap_or(128)
    }

    /// The block size in force.
    #[must_use]
    pub fn block_size_mib(&self) -> u64 {
        self.block_size_mib.unwrap_or(2)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn breaches(total: u64, slot: Option<u64>, block: Option<u64>) -> Vec<String> {
        let config = MemoryHotplugConfig {
            total_size_mib: total,
            slot_size_mib: slot,
            block_size_mib: block,
        };
        let mut breaches = Breaches::default();
        config.check(&mut breaches);
        match breaches.into_result() {
            Ok(()) => Vec::new(),
            Err(invalid) => invalid.breaches().iter().map(|breach| breach.path.clone()).collect(),
        }
    }

    #[test]
    fn sizes_are_checked_at_their_limits() {
        let none: [&str; 0] = [];
        assert_eq!(breaches(128, None, None), none);
        assert_eq!(breaches(1024, Some(256), Some(4)), none);
        assert_eq!(breaches(0, None, None), ["memoryHotplug.totalSizeMib"]);
        assert_eq!(breaches(192, None, None), ["memoryHotplug.totalSizeMib"]);
        assert_eq!(breaches(126, Some(126), None), ["memoryHotplug.slotSizeMib"]);
        assert_eq!(breaches(258, Some(129), None), ["memoryHotplug.slotSizeMib"]);
        assert_eq!(breaches(128, None, Some(1)), ["memoryHotplug.blockSizeMib"]);
        assert_eq!(breaches(128, None, Some(6)), ["memoryHotplug.blockSizeMib"]);
    }

    proptest! {
        #[test]
        fn what_is_accepted_keeps_every_rule(total: u64, slot: Option<u64>, block: Option<u64>) {
            if breaches(total, slot, block).is_empty() {
                let (slot, block) = (slot.unwrap_or(128), block.unwrap_or(2));
                prop_assert!(total > 0 && total % slot == 0 && slot % block == 0);
            }
        }
    }
}
