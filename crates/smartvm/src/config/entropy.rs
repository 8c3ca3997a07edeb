//! Random bytes for the guest.

use serde::{Deserialize, Serialize};

use smartvm_firecracker::api::EntropyDevice;

use super::invalid::Breaches;
use super::rate_limiter::RateLimiterConfig;

/// A device that gives the guest random bytes of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntropyConfig {
    /// How fast the guest may take them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limiter: Option<RateLimiterConfig>,
}

impl EntropyConfig {
    pub(crate) fn to_wire(&self) -> EntropyDevice {
        EntropyDevice { rate_limiter: self.rate_limiter.as_ref().map(RateLimiterConfig::to_wire) }
    }

    pub(crate) fn check(&self, breaches: &mut Breaches) {
        if let Some(limiter) = &self.rate_limiter {
            limiter.check("entropy.rateLimiter", breaches);
        }
    }
}
