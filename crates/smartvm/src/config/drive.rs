//! A block device of the guest.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use smartvm_firecracker::api::{CacheType, Drive, IoEngine};

use super::device_id;
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
    #[serde(default, skip_serializing_if = "is_empty")]
    pub path_on_host: PathBuf,
    /// In place of a file: the Unix socket of a vhost-user-block server, which does the input and
    /// output itself (developer preview). A VM with such a drive has no snapshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
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
        self.socket.is_none() && by_default && self.ephemeral.unwrap_or(!read_only)
    }

    /// Checks the drive; `place` is where it stands, such as `drives[0]`.
    pub(crate) fn check(&self, place: &str, breaches: &mut Breaches) {
        let at = |key: &str| format!("{place}.{key}");
        device_id::check(&self.drive_id, at("driveId"), breaches);
        match &self.socket {
            None => breaches.require(
                !self.path_on_host.as_os_str().is_empty(),
                at("pathOnHost"),
                "must name a file",
            ),
            Some(socket) => {
                breaches.require(!socket.as_os_str().is_empty(), at("socket"), "must not be empty");
                self.check_left_to_server(place, breaches);
            }
        }
        if let Some(limiter) = &self.rate_limiter {
            limiter.check(&at("rateLimiter"), breaches);
        }
        if self.partuuid.is_some() {
            breaches.require(
                self.is_root_device,
                at("partuuid"),
                "is possible on the root device only",
            );
        }
    }

    /// Nothing that a vhost-user server decides may be set beside its socket.
    fn check_left_to_server(&self, place: &str, breaches: &mut Breaches) {
        for (key, is_set) in [
            ("pathOnHost", !self.path_on_host.as_os_str().is_empty()),
            ("isReadOnly", self.is_read_only.is_some()),
            ("ioEngine", self.io_engine.is_some()),
            ("rateLimiter", self.rate_limiter.is_some()),
            ("ephemeral", self.ephemeral == Some(true)),
        ] {
            breaches.require(!is_set, format!("{place}.{key}"), "must be absent beside socket");
        }
    }

    /// Firecracker's form of the drive, with its content, or the server's socket, at `path`.
    pub(crate) fn to_wire(&self, path: PathBuf) -> Drive {
        let (path_on_host, socket) = match self.socket {
            None => (Some(path), None),
            Some(_) => (None, Some(path)),
        };
        Drive {
            drive_id: device_id::to_wire(&self.drive_id),
            path_on_host,
            is_root_device: self.is_root_device,
            is_read_only: self.is_read_only,
            partuuid: self.partuuid.clone(),
            cache_type: self.cache_type,
            io_engine: self.io_engine,
            rate_limiter: self.rate_limiter.as_ref().map(RateLimiterConfig::to_wire),
            socket,
        }
    }
}

/// Checks all of a VM's drives, and that no two have one id.
pub(super) fn check_all(drives: &[DriveConfig], breaches: &mut Breaches) {
    for (index, drive) in drives.iter().enumerate() {
        drive.check(&format!("drives[{index}]"), breaches);
    }
    let ids = drives.iter().enumerate();
    let ids =
        ids.map(|(index, drive)| (format!("drives[{index}].driveId"), drive.drive_id.clone()));
    device_id::check_unique(ids, breaches);
}

fn is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
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
