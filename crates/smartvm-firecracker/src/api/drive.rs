//! `PUT` and `PATCH /drives/{drive_id}`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{DeviceId, RateLimiter};

/// A block device of the guest. Before boot; since 1.16 also after it, as a hotplug.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drive {
    /// Names the drive; also the last part of the request's path.
    pub drive_id: DeviceId,
    /// Whether the guest boots from it; at most one drive may.
    pub is_root_device: bool,
    /// The partition to boot from, with `root=PARTUUID=`; only for the root device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partuuid: Option<String>,
    /// What the guest's flushes do; Firecracker's default is [`CacheType::Unsafe`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_type: Option<CacheType>,
    /// Whether the guest may only read; Firecracker's default is no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_read_only: Option<bool>,
    /// A regular file or block device, as Firecracker sees the path. What exceeds a multiple of
    /// 512 bytes is cut off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_on_host: Option<PathBuf>,
    /// Limits to its throughput; unlimited when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limiter: Option<RateLimiter>,
    /// How the file is read and written; Firecracker's default is [`IoEngine::Sync`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_engine: Option<IoEngine>,
    /// A vhost-user-block socket in place of `path_on_host` (developer preview).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
}

impl Drive {
    /// A writable drive backed by a file that the guest does not boot from, all else as
    /// Firecracker has it by default.
    #[must_use]
    pub fn new(drive_id: DeviceId, path_on_host: impl Into<PathBuf>) -> Self {
        Self {
            drive_id,
            is_root_device: false,
            partuuid: None,
            cache_type: None,
            is_read_only: None,
            path_on_host: Some(path_on_host.into()),
            rate_limiter: None,
            io_engine: None,
            socket: None,
        }
    }
}

/// Changes to a drive; what is absent stays. After boot only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartialDrive {
    /// Which drive.
    pub drive_id: DeviceId,
    /// Another file, which is opened now; the guest is told of its size. With nothing but the id,
    /// a vhost-user drive asks its server for its configuration again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_on_host: Option<PathBuf>,
    /// Limits to its throughput.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limiter: Option<RateLimiter>,
}

/// What a flush of the guest does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CacheType {
    /// Nothing: a crash of the host may lose what the guest believes written.
    Unsafe,
    /// The file is synchronised to its disk.
    Writeback,
}

/// How Firecracker reads and writes the backing file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IoEngine {
    /// Blocking system calls.
    Sync,
    /// io_uring: developer preview, host kernel 5.10.51 or newer.
    Async,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_out_what_was_not_asked_for() {
        let drive = Drive {
            is_root_device: true,
            cache_type: Some(CacheType::Writeback),
            ..Drive::new("rootfs".parse().unwrap(), "/images/root.ext4")
        };
        assert_eq!(
            serde_json::to_value(drive).unwrap(),
            serde_json::json!({
                "drive_id": "rootfs",
                "is_root_device": true,
                "path_on_host": "/images/root.ext4",
                "cache_type": "Writeback",
            })
        );
    }
}
