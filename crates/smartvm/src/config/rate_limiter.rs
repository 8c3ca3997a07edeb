//! How fast a device may go.

use serde::{Deserialize, Serialize};
use smartvm_firecracker::api::{RateLimiter, TokenBucket};

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
    /// Milliseconds until an empty bucket is full; 0 disables the bucket.
    pub refill_time: u64,
    /// Tokens beyond `size` that are there at first and never come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_time_burst: Option<u64>,
}

impl RateLimiterConfig {
    pub(crate) fn to_wire(&self) -> RateLimiter {
        RateLimiter {
            bandwidth: self.bandwidth.as_ref().map(TokenBucketConfig::to_wire),
            ops: self.ops.as_ref().map(TokenBucketConfig::to_wire),
        }
    }
}

impl TokenBucketConfig {
    fn to_wire(&self) -> TokenBucket {
        TokenBucket {
            size: self.size,
            refill_time: self.refill_time,
            one_time_burst: self.one_time_burst,
        }
    }
}
