//! The longest packet of a network interface.

use serde::{Deserialize, Serialize};

use super::InvalidValue;

/// 68 to 65535 bytes; 68 is the least that IPv4 needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Mtu(u16);

impl Mtu {
    /// The shortest that Firecracker takes.
    pub const MIN: Self = Self(68);

    /// The number of bytes.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for Mtu {
    type Error = InvalidValue;

    fn try_from(bytes: u16) -> Result<Self, InvalidValue> {
        if bytes >= Self::MIN.0 {
            return Ok(Self(bytes));
        }
        Err(InvalidValue::new("an MTU", bytes, "it must be at least 68"))
    }
}

impl From<Mtu> for u16 {
    fn from(mtu: Mtu) -> Self {
        mtu.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ipv4_cannot_use_is_refused() {
        assert!(Mtu::try_from(67).is_err());
        assert_eq!(Mtu::try_from(68).unwrap(), Mtu::MIN);
        assert_eq!(Mtu::try_from(u16::MAX).unwrap().get(), 65535);
    }
}
