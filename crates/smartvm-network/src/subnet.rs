//! The addresses of a network.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An IPv4 subnet of 4 addresses or more, such as `172.30.0.0/24`.
///
/// The first address is the gateway's, which is the host; guests have the second and the following.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet {
    network: u32,
    prefix: u8,
}

/// A text that is no subnet of guests. Code `INVALID_SUBNET`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is not a subnet: that is four decimal numbers to 255 with `.` between them, `/` and a \
     prefix of 1 to 30",
    text.escape_debug()
)]
pub struct InvalidSubnet {
    text: String,
}

impl InvalidSubnet {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "INVALID_SUBNET"
    }
}

impl Default for Subnet {
    /// `172.30.0.0/24`.
    fn default() -> Self {
        Self { network: u32::from(Ipv4Addr::new(172, 30, 0, 0)), prefix: 24 }
    }
}

impl Subnet {
    /// Its first address, which no host has.
    #[must_use]
    pub const fn network(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network)
    }

    /// How many leading bits its addresses have in common: 1 to 30.
    #[must_use]
    pub const fn prefix(self) -> u8 {
        self.prefix
    }

    /// Its mask, such as `255.255.255.0`.
    #[must_use]
    pub const fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.mask_bits())
    }

    /// The host's address in it: the one after [`network`](Self::network).
    #[must_use]
    pub const fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network + 1)
    }

    /// Its last address, which reaches all hosts.
    #[must_use]
    pub const fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network | !self.mask_bits())
    }

    /// The addresses of guests, in the order in which they are given out.
    pub fn guests(self) -> impl Iterator<Item = Ipv4Addr> {
        (self.network + 2..self.broadcast().to_bits()).map(Ipv4Addr::from_bits)
    }

    /// Whether an address is in it.
    #[must_use]
    pub const fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & self.mask_bits() == self.network
    }

    /// Whether a guest may have the address.
    #[must_use]
    pub const fn is_guest(self, address: Ipv4Addr) -> bool {
        let bits = address.to_bits();
        bits > self.network + 1 && bits < self.broadcast().to_bits()
    }

    const fn mask_bits(self) -> u32 {
        u32::MAX << (32 - self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = InvalidSubnet;

    /// Reads `ADDRESS/PREFIX`; an address within the subnet stands for it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidSubnet { text: text.to_owned() };
        let (address, prefix) = text.split_once('/').ok_or_else(invalid)?;
        let address: Ipv4Addr = address.parse().map_err(|_| invalid())?;
        let decimal = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        if !decimal || prefix.len() > 2 || (prefix.len() == 2 && prefix.starts_with('0')) {
            return Err(invalid());
        }
        let prefix: u8 = prefix.parse().map_err(|_| invalid())?;
        if !(1..=30).contains(&prefix) {
            return Err(invalid());
        }
        let whole = Self { network: 0, prefix };
        Ok(Self { network: address.to_bits() & whole.mask_bits(), prefix })
    }
}

impl TryFrom<String> for Subnet {
    type Error = InvalidSubnet;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network(), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_subnet_is_normalised_to_its_network() {
        let subnet: Subnet = "10.1.2.77/24".parse().unwrap();
        assert_eq!(subnet.to_string(), "10.1.2.0/24");
        assert_eq!(subnet.gateway(), Ipv4Addr::new(10, 1, 2, 1));
        assert_eq!(subnet.mask(), Ipv4Addr::new(255, 255, 255, 0));
        assert_eq!(subnet.guests().count(), 253);
        assert_eq!(subnet.guests().next(), Some(Ipv4Addr::new(10, 1, 2, 2)));
        let smallest: Subnet = "192.168.0.4/30".parse().unwrap();
        assert_eq!(smallest.guests().collect::<Vec<_>>(), [Ipv4Addr::new(192, 168, 0, 6)]);
    }

    #[test]
    fn what_is_no_subnet_is_refused() {
        for text in [
            "",
            "/",
            "10.0.0.0",
            "10.0.0.0/",
            "10.0.0.0/0",
            "10.0.0.0/31",
            "10.0.0.0/32",
            "10.0.0/24",
            "10.0.0.256/24",
            "10.0.0.0x10/24",
            "0x0a.0.0.0/24",
            " 10.0.0.0/24",
            "10.0.0.0/24 ",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "010.0.0.0/8",
            "10..0.0/8",
            "10.0.0.0/8/8",
            "::/24",
        ] {
            assert_eq!(text.parse::<Subnet>().unwrap_err().code(), "INVALID_SUBNET", "{text}");
        }
    }

    proptest! {
        #[test]
        fn guests_are_in_their_subnet_and_never_the_gateway(bits: u32, prefix in 20_u8..=30) {
            let subnet: Subnet = format!("{}/{prefix}", Ipv4Addr::from_bits(bits)).parse().unwrap();
            let guests: Vec<_> = subnet.guests().collect();
            prop_assert_eq!(guests.len(), (1_usize << (32 - prefix)) - 3);
            for guest in guests {
                prop_assert!(subnet.contains(guest) && subnet.is_guest(guest));
                prop_assert!(guest != subnet.gateway() && guest != subnet.broadcast());
            }
            prop_assert!(!subnet.is_guest(subnet.gateway()) && !subnet.is_guest(subnet.broadcast()));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,20}") {
            let _ = text.parse::<Subnet>();
        }
    }
}
