//! How many bundles a cache keeps.

use std::num::NonZeroUsize;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How many bundles a cache keeps: at least one, 2 when nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "usize")]
pub struct CacheLimit(NonZeroUsize);

/// The number is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("maxStoredBaseImages must be a whole number of at least 1")]
pub struct InvalidCacheLimit(());

impl InvalidCacheLimit {
    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "INVALID_BASE_IMAGE_CACHE_LIMIT"
    }
}

impl CacheLimit {
    /// A limit of `count` bundles.
    ///
    /// # Errors
    /// `INVALID_BASE_IMAGE_CACHE_LIMIT` for none.
    pub fn new(count: usize) -> Result<Self, InvalidCacheLimit> {
        NonZeroUsize::new(count).map(Self).ok_or(InvalidCacheLimit(()))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> usize {
        self.0.get()
    }
}

impl Default for CacheLimit {
    fn default() -> Self {
        Self(const { NonZeroUsize::new(2).expect("2 is not 0") })
    }
}

impl TryFrom<f64> for CacheLimit {
    type Error = InvalidCacheLimit;

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
    fn try_from(number: f64) -> Result<Self, Self::Error> {
        let is_whole = number.fract() == 0.0 && (1.0..=1e9).contains(&number);
        if is_whole { Self::new(number as usize) } else { Err(InvalidCacheLimit(())) }
    }
}

impl From<CacheLimit> for usize {
    fn from(limit: CacheLimit) -> Self {
        limit.get()
    }
}

impl FromStr for CacheLimit {
    type Err = InvalidCacheLimit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<usize>().map_err(|_| InvalidCacheLimit(())).and_then(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_whole_number_of_at_least_one() {
        assert_eq!(CacheLimit::default().get(), 2);
        let read = |text| serde_json::from_str::<CacheLimit>(text).map(CacheLimit::get).ok();
        assert_eq!((read("1"), read("3.0")), (Some(1), Some(3)));
        for text in ["0", "-1", "1.5", "\"2\"", "null", "1e300"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(CacheLimit::new(0).unwrap_err().code(), "INVALID_BASE_IMAGE_CACHE_LIMIT");
        assert!("0".parse::<CacheLimit>().is_err() && "x".parse::<CacheLimit>().is_err());
        assert_eq!(serde_json::to_string(&CacheLimit::default()).unwrap(), "2");
    }
}
