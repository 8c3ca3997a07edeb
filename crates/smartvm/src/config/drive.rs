//! A block device of the guest.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use smartvm_firecracker::api::{CacheType, Drive, IoEngine};

use super::invalid::Breaches;
use super::rate_limiter::RateLimiterConfig;

/// One drive: a file of the host as a disk of the guest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DriveConfig {
    /// Names the drive within the VM: letters, digits and `_`.
    #[serde(default)]
    pub drive_id: String,
    /// The file or block device that holds the content.
    #[serde(default)]
    pub path_on_host: PathBuf,
    /// Whether the guest boots from it; at most one drive of a VM.
    #[serde(default)]
    pub is_root_device: bool,
    /// Whether the device refuses writes. Firecracker's default is no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_read_only: Option<bool>,
    /// The partition to boot from, when the image has a partition table.
    #[serde(default, alias = "partUuid", skip_serializing_if = "Option::is_none")]
    pub partuuid: Option<String>,
    /// Whether a guest's flush reaches the host's disk. Firecracker's default is `Unsafe`: it
    /// does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_type: Option<CacheType>,
    /// How Firecracker does the input and output. Its default is `Sync`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_engine: Option<IoEngine>,
    /// How fast the device may go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limiter: Option<RateLimiterConfig>,
    /// Whether the VM gets a private copy that goes with it. Default: yes for a writable drive
    /// (unless the manager says otherwise), no for a read-only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<bool>,
}

impl DriveConfig {
    /// Whether a VM works on a private copy of this drive; `by_default` is the manager's
    /// `ephemeralWritableDrives`, which turns all staging off when it is false.
    #[must_use]
    pub fn is_staged(&self, by_default: bool) -> bool {
        let read_only = self.is_read_only == Some(true);
        by_default && self.ephemeral.unwrap_or(!read_only)
    }

    pub(crate) fn check(&self, index: usize, breaches: &mut Breaches) {
        let at = |key: &str| format!("drives[{index}].{key}");
        breaches.require(
            !self.drive_id.is_empty()
                && self.drive_id.len() <= 64
                && self.drive_id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
            at("driveId"),
            "must be 1 to 64 letters, digits or `_`",
        );
        breaches.require(
            !self.path_on_host.as_os_str().is_empty(),
            at("pathOnHost"),
            "must name a file",
        );
        if self.partuuid.is_some() {
            breaches.require(
                self.is_root_device,
                at("partuuid"),
                "is possible on the root device only",
            );
        }
    }

    /// Firecracker's form of the drive, with the content at `path`.
    pub(crate) fn to_wire(&self, path: PathBuf) -> Drive {
        Drive {
            drive_id: self.drive_id.parse().expect("validated configurations have sound ids"),
            path_on_host: Some(path),
            is_root_device: self.is_root_device,
            is_read_only: self.is_read_only,
            partuuid: self.partuuid.clone(),
            cache_type: self.cache_type,
            io_engine: self.io_engine,
            rate_limiter: self.rate_limiter.as_ref().map(RateLimiterConfig::to_wire),
            socket: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_copy_is_made_as_the_three_settings_say() {
        let drive = |read_only, ephemeral| DriveConfig {
            is_read_only: read_only,
            ephemeral,
            ..DriveConfig::default()
        };
        // read only, ephemeral, staged while the manager's option is on
        let table = [
            (None, None, true),
            (None, Some(true), true),
            (None, Some(false), false),
            (Some(false), None, true),
            (Some(false), Some(true), true),
            (Some(false), Some(false), false),
            (Some(true), None, false),
            (Some(true), Some(true), true),
            (Some(true), Some(false), false),
        ];
        for (read_only, ephemeral, staged) in table {
            let drive = drive(read_only, ephemeral);
            assert_eq!(drive.is_staged(true), staged, "{drive:?}");
            assert!(!drive.is_staged(false), "{drive:?}");
        }
    }
}
