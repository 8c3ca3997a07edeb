//! How fast a device may go.

use serde::{Deserialize, Serialize};
use smartvm_firecracker::api::{RateLimiter, TokenBucket};

use super::invalid::Breaches;

/// Limits in bytes and in operations, each a token bucket; an absent one is unlimited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimiterConfig {
    /// The bucket whose tokens are bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<TokenBucketConfig>,
    /// The bucket whose tokens are operations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ops: Option<TokenBucketConfig>,
}

/// A bucket of `size` tokens that is full again after `refill_time` milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenBucketConfig {
    /// Tokens that fit; 0 disables the bucket.
    pub size: u64,
    /// Milliseconds until an empty bucket is full, at most 18446744073709; 0 disables the bucket.
    pub refill_time: u64,
    /// Tokens beyond `size` that are there at first and never come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_time_burst: Option<u64>,
}

impl RateLimiterConfig {
    /// Checks the limits; `place` is where they stand, such as `drives[0].rateLimiter`.
    pub(crate) fn check(&self, place: &str, breaches: &mut Breaches) {
        for (key, bucket) in [("bandwidth", &self.bandwidth), ("ops", &self.ops)] {
            if let Some(bucket) = bucket {
                bucket.check(&format!("{place}.{key}"), breaches);
            }
        }
    }

    pub(crate) fn to_wire(&self) -> RateLimiter {
        RateLimiter {
            bandwidth: self.bandwidth.as_ref().map(TokenBucketConfig::to_wire),
            ops: self.ops.as_ref().map(TokenBucketConfig::to_wire),
        }
    }
}

impl TokenBucketConfig {
    /// The longest time whose nanoseconds Firecracker can count. Beyond it there would be no limit.
    const MAX_REFILL_TIME: u64 = u64::MAX / 1_000_000;

    pub(crate) fn check(&self, place: &str, breaches: &mut Breaches) {
        breaches.require(
            self.refill_time <= Self::MAX_REFILL_TIME,
            format!("{place}.refillTime"),
            "must be <= 18446744073709",
        );
        // One of them alone would lift the limit that the other seems to set.
        breaches.require(
            (self.size == 0) == (self.refill_time == 0),
            place,
            "must have a size and a refillTime, or 0 for both, which means no limit",
        );
    }

    pub(crate) fn to_wire(&self) -> TokenBucket {
        TokenBucket {
            size: self.size,
            refill_time: self.refill_time,
            one_time_burst: self.one_time_burst,
        }
    }
}
