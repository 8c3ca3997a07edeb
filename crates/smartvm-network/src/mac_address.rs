//! A hardware address.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The hardware address of a single network card, such as `02:00:ac:10:00:02`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress([u8; 6]);

/// A text that is no hardware address of a single card. Code `INVALID_MAC_ADDRESS`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not the hardware address of a network card", text.escape_debug())]
pub struct InvalidMacAddress {
    text: String,
}

impl MacAddress {
    /// The address with these bytes, if it is one of a single card: not of a group and not zero.
    #[must_use]
    pub const fn new(octets: [u8; 6]) -> Option<Self> {
        let zero = matches!(octets, [0, 0, 0, 0, 0, 0]);
        if octets[0] & 1 == 0 && !zero { Some(Self(octets)) } else { None }
    }

    /// A locally administered address made of five bytes.
    #[must_use]
    pub const fn local(rest: [u8; 5]) -> Self {
        Self([2, rest[0], rest[1], rest[2], rest[3], rest[4]])
    }

    /// Its bytes, in the order in which they are sent.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl FromStr for MacAddress {
    type Err = InvalidMacAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidMacAddress { text: text.to_owned() };
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts.next().filter(|part| part.len() == 2).ok_or_else(invalid)?;
            if !part.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(invalid());
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| invalid())?;
        }
        if parts.next().is_some() {
            return Err(invalid());
        }
        Self::new(octets).ok_or_else(invalid)
    }
}

impl TryFrom<String> for MacAddress {
    type Error = InvalidMacAddress;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(mac: MacAddress) -> Self {
        mac.to_string()
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_it_was_read() {
        let text = "02:00:ac:1e:00:ff";
        assert_eq!(text.parse::<MacAddress>().unwrap().to_string(), text);
        assert_eq!("02:00:AC:1E:00:FF".parse::<MacAddress>().unwrap().to_string(), text);
    }

    #[test]
    fn what_is_no_address_of_one_card_is_refused() {
        for text in [
            "",
            "02:00:ac:1e:00",
            "02:00:ac:1e:00:ff:00",
            "2:0:0:0:0:1",
            "01:00:5e:00:00:01",
            "00:00:00:00:00:00",
            "ff:ff:ff:ff:ff:ff",
            "02:00:ac:1e:00:+f",
        ] {
            text.parse::<MacAddress>().unwrap_err();
        }
    }
}
