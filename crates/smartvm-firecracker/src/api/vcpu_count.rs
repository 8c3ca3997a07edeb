//! How many processors a guest has.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::InvalidValue;

/// 1 to 32 virtual processors; with `smt` 1 or an even number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct VcpuCount(u8);

impl VcpuCount {
    /// One processor: Firecracker's default.
    pub const ONE: Self = Self(1);
    /// The most that Firecracker gives a VM.
    pub const MAX: Self = Self(32);

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for VcpuCount {
    type Error = InvalidValue;

    fn try_from(number: u8) -> Result<Self, InvalidValue> {
        if (1..=Self::MAX.0).contains(&number) {
            return Ok(Self(number));
        }
        Err(InvalidValue::new("a number of processors", number, "it must be between 1 and 32"))
    }
}

impl From<VcpuCount> for u8 {
    fn from(count: VcpuCount) -> Self {
        count.0
    }
}

impl fmt::Display for VcpuCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_has_1_to_32_processors() {
        for good in [1, 2, 31, 32] {
            assert_eq!(VcpuCount::try_from(good).unwrap().get(), good);
        }
        for bad in [0, 33, 255] {
            assert!(VcpuCount::try_from(bad).is_err());
            assert!(serde_json::from_value::<VcpuCount>(bad.into()).is_err());
        }
    }
}
