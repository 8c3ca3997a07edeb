//! Where the guest finds the metadata service.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::InvalidValue;

/// A link-local address in 169.254.1.0 to 169.254.254.255, the range of RFC 3927.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Ipv4Addr", into = "Ipv4Addr")]
pub struct MmdsAddress(Ipv4Addr);

impl MmdsAddress {
    /// 169.254.169.254: Firecracker's default, and that of the clouds.
    pub const DEFAULT: Self = Self(Ipv4Addr::new(169, 254, 169, 254));

    /// The address.
    #[must_use]
    pub const fn get(self) -> Ipv4Addr {
        self.0
    }
}

impl TryFrom<Ipv4Addr> for MmdsAddress {
    type Error = InvalidValue;

    fn try_from(address: Ipv4Addr) -> Result<Self, InvalidValue> {
        match address.octets() {
            [169, 254, 1..=254, _] => Ok(Self(address)),
            _ => Err(InvalidValue::new(
                "an address of the metadata service",
                address,
                "it must be in 169.254.1.0 to 169.254.254.255",
            )),
        }
    }
}

impl From<MmdsAddress> for Ipv4Addr {
    fn from(address: MmdsAddress) -> Self {
        address.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_ends_where_rfc_3927_ends_it() {
        for good in ["169.254.1.0", "169.254.169.254", "169.254.254.255"] {
            let address: Ipv4Addr = good.parse().unwrap();
            assert_eq!(MmdsAddress::try_from(address).unwrap().get(), address);
        }
        for bad in ["169.254.0.255", "169.254.255.0", "169.253.1.1", "10.0.0.1", "0.0.0.0"] {
            assert!(MmdsAddress::try_from(bad.parse::<Ipv4Addr>().unwrap()).is_err(), "{bad}");
        }
    }
}
