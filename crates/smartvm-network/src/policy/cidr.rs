//! A range of addresses.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An IPv4 address, or all those with the same leading bits: `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    network: u32,
    prefix: u8,
}

/// A text that is no range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is neither an IPv4 address nor a range of them such as `10.0.0.0/8`", text.escape_debug())]
pub struct InvalidCidr {
    text: String,
}

impl Cidr {
    /// The range that begins with `network`, of which bits beyond the prefix do not count.
    ///
    /// # Panics
    /// When the prefix is above 32.
    #[must_use]
    pub const fn new(network: Ipv4Addr, prefix: u8) -> Self {
        assert!(prefix <= 32, "an IPv4 address has 32 bits");
        Self { network: network.to_bits() & mask(prefix), prefix }
    }

    /// Its first address.
    #[must_use]
    pub const fn network(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network)
    }

    /// How many leading bits count, 0 to 32.
    #[must_use]
    pub const fn prefix(self) -> u8 {
        self.prefix
    }

    /// The bits that count.
    #[must_use]
    pub const fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(mask(self.prefix))
    }

    /// Whether an address is in it.
    #[must_use]
    pub const fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.prefix) == self.network
    }
}

const fn mask(prefix: u8) -> u32 {
    match u32::MAX.checked_shl(32 - prefix as u32) {
        Some(mask) => mask,
        None => 0,
    }
}

impl FromStr for Cidr {
    type Err = InvalidCidr;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidCidr { text: text.to_owned() };
        let (address, prefix) = match text.split_once('/') {
            None => (text, 32),
            Some((address, prefix)) => {
                let plain = matches!(prefix.as_bytes(), [b'0'..=b'9'] | [b'1'..=b'9', b'0'..=b'9']);
                let prefix = plain.then(|| prefix.parse().ok()).flatten();
                (address, prefix.filter(|prefix| *prefix <= 32).ok_or_else(invalid)?)
            }
        };
        Ok(Self::new(address.parse().map_err(|_| invalid())?, prefix))
    }
}

impl TryFrom<String> for Cidr {
    type Error = InvalidCidr;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == 32 {
            write!(f, "{}", self.network())
        } else {
            write!(f, "{}/{}", self.network(), self.prefix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_written() {
        for (text, written) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("1.2.3.4", "1.2.3.4"),
            ("1.2.3.4/32", "1.2.3.4"),
            ("1.2.3.4/0", "0.0.0.0/0"),
        ] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), written);
        }
        for text in
            ["", "10.0.0", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/-1", "a/8", "::1", "1.2.3.4/"]
        {
            text.parse::<Cidr>().unwrap_err();
        }
        assert!("0.0.0.0/0".parse::<Cidr>().unwrap().contains(Ipv4Addr::BROADCAST));
    }
}
