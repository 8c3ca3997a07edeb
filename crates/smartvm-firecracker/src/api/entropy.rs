//! `PUT /entropy`.

use serde::{Deserialize, Serialize};

use super::RateLimiter;

/// A device that gives the guest random bytes of the host. Before boot only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntropyDevice {
    /// Limits to its throughput; unlimited when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limiter: Option<RateLimiter>,
}
