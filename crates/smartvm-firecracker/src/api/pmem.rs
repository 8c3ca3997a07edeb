//! `PUT` (since 1.14) and `PATCH /pmem/{id}` (since 1.16).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{DeviceId, RateLimiter};

/// A file as persistent memory of the guest. Before boot; since 1.16 also after it, as a hotplug.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pmem {
    /// Names the device; also the last part of the request's path.
    pub id: DeviceId,
    /// A file that is not empty; the guest sees its size rounded up to 2 MiB.
    pub path_on_host: PathBuf,
    /// Whether the guest boots from it; Firecracker's default is no. At most one of drives and
    /// pmem devices may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_device: Option<bool>,
    /// Whether the guest may only read; Firecracker's default is no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// Limits to flushes; reading and writing memory cannot be limited. Since 1.16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limiter: Option<RateLimiter>,
}

impl Pmem {
    /// A writable device that the guest does not boot from.
    #[must_use]
    pub fn new(id: DeviceId, path_on_host: impl Into<PathBuf>) -> Self {
        let path_on_host = path_on_host.into();
        Self { id, path_on_host, root_device: None, read_only: None, rate_limiter: None }
    }
}

/// Other limits for a pmem device; what is absent stays. After boot only, since 1.16.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartialPmem {
    /// Which device.
    pub id: DeviceId,
    /// Limits to flushes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limiter: Option<RateLimiter>,
}
