//! The address of a guest on its vsock.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::InvalidValue;

/// A guest's context id: 3 or more, as 0 to 2 name the hypervisor, loopback and the host.
///
/// Firecracker's vsock is a Unix socket on the host, so all guests of a host may have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct GuestCid(u32);

impl GuestCid {
    /// The lowest that a guest may have.
    pub const MIN: Self = Self(3);

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for GuestCid {
    type Error = InvalidValue;

    fn try_from(number: u32) -> Result<Self, InvalidValue> {
        if number >= Self::MIN.0 {
            return Ok(Self(number));
        }
        Err(InvalidValue::new("a guest's CID", number, "it must be 3 or more"))
    }
}

impl From<GuestCid> for u32 {
    fn from(cid: GuestCid) -> Self {
        cid.0
    }
}

impl fmt::Display for GuestCid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_reserved_ones_are_refused() {
        for number in 0..3 {
            assert!(GuestCid::try_from(number).is_err());
            assert!(serde_json::from_value::<GuestCid>(number.into()).is_err());
        }
        assert_eq!(GuestCid::try_from(3).unwrap(), GuestCid::MIN);
        assert_eq!(GuestCid::try_from(u32::MAX).unwrap().get(), u32::MAX);
    }
}
