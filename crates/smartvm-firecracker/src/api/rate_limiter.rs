//! Limits to the throughput of a device.

use serde::{Deserialize, Serialize};

/// A limit to bytes, to operations, or to both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimiter {
    /// Tokens are bytes; unlimited when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<TokenBucket>,
    /// Tokens are operations; unlimited when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ops: Option<TokenBucket>,
}

/// A bucket of tokens that fills at a steady rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenBucket {
    /// How many tokens it holds; 0 switches the limit off.
    pub size: u64,
    /// Milliseconds that an empty bucket takes to fill; 0 switches the limit off.
    pub refill_time: u64,
    /// Tokens there are once more at the start and never refilled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_time_burst: Option<u64>,
}

impl TokenBucket {
    /// No limit: what takes a limit off again in a `PATCH`.
    pub const UNLIMITED: Self = Self { size: 0, refill_time: 0, one_time_burst: None };
}
