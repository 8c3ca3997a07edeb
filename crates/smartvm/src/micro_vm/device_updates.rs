//! What can be changed about a device of a started VM.

use std::path::PathBuf;

use crate::config::RateLimiterConfig;

/// A change of a drive. With nothing set, a vhost-user drive is asked for its size anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DriveUpdate {
    /// Another file or block device; the guest sees the change of size, and must not have the drive
    /// mounted. Absent: unchanged.
    pub path_on_host: Option<PathBuf>,
    /// Whether the other file is used by a private copy. Absent: as the drive's configuration and the
    /// manager's `ephemeralWritableDrives` say.
    pub ephemeral: Option<bool>,
    /// Other limits, bucket by bucket; an absent bucket stays as it is.
    pub rate_limiter: Option<RateLimiterConfig>,
}

/// A change of a network device's limits, bucket by bucket; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkInterfaceUpdate {
    /// How fast the guest may receive.
    pub rx_rate_limiter: Option<RateLimiterConfig>,
    /// How fast the guest may send.
    pub tx_rate_limiter: Option<RateLimiterConfig>,
}
