//! A file of the host as memory of the guest that survives it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use smartvm_firecracker::api::Pmem;

use super::device_id;
use super::invalid::Breaches;
use super::rate_limiter::RateLimiterConfig;

/// One persistent memory device (virtio-pmem). Since Firecracker 1.14.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PmemConfig {
    /// Names the device within the VM: letters, digits and `_`.
    #[serde(default)]
    pub id: String,
    /// The file that holds the content; the guest sees its size rounded up to 2 MiB.
    #[serde(default)]
    pub path_on_host: PathBuf,
    /// Whether the guest boots from it; at most one device of a VM, drives included.
    #[serde(default)]
    pub root_device: bool,
    /// Whether the guest may only read. Firecracker's default is no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// How fast the guest may flush. Since Firecracker 1.16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limiter: Option<RateLimiterConfig>,
    /// Whether the VM gets a private copy that goes with it, as for a drive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<bool>,
}

impl PmemConfig {
    /// Whether a VM works on a private copy of this file; `by_default` is the manager's
    /// `ephemeralWritableDrives`, which turns all staging off when it is false.
    #[must_use]
    pub fn is_staged(&self, by_default: bool) -> bool {
        let read_only = self.read_only == Some(true);
        by_default && self.ephemeral.unwrap_or(!read_only)
    }

    /// Firecracker's form of the device, with its content at `path`.
    pub(crate) fn to_wire(&self, path: PathBuf) -> Pmem {
        Pmem {
            id: device_id::to_wire(&self.id),
            path_on_host: path,
            root_device: self.root_device.then_some(true),
            read_only: self.read_only,
            rate_limiter: self.rate_limiter.as_ref().map(RateLimiterConfig::to_wire),
        }
    }

    /// Checks the device; `place` is where it stands, such as `pmem[0]`.
    pub(crate) fn check(&self, place: &str, breaches: &mut Breaches) {
        device_id::check(&self.id, format!("{place}.id"), breaches);
        breaches.require(
            !self.path_on_host.as_os_str().is_empty(),
            format!("{place}.pathOnHost"),
            "must name a file",
        );
        if let Some(limiter) = &self.rate_limiter {
            limiter.check(&format!("{place}.rateLimiter"), breaches);
        }
    }
}

/// Checks all of a VM's devices, and that no two have one id.
pub(super) fn check_all(devices: &[PmemConfig], breaches: &mut Breaches) {
    for (index, device) in devices.iter().enumerate() {
        device.check(&format!("pmem[{index}]"), breaches);
    }
    let ids = devices.iter().enumerate();
    let ids = ids.map(|(index, device)| (format!("pmem[{index}].id"), device.id.clone()));
    device_id::check_unique(ids, breaches);
}
