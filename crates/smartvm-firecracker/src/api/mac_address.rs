//! The hardware address of a network interface.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::InvalidValue;

/// Six bytes, written `06:00:ac:10:00:02`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// The address of these bytes, first byte first.
    #[must_use]
    pub const fn new(bytes: [u8; 6]) -> Self {
        Self(bytes)
    }

    /// The bytes, first byte first.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl FromStr for MacAddress {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        parse(text).map(Self).ok_or_else(|| {
            let rule = "it must be six pairs of hexadecimal digits, separated by `:`";
            InvalidValue::new("a MAC address", text, rule)
        })
    }
}

impl TryFrom<String> for MacAddress {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(address: MacAddress) -> Self {
        address.to_string()
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

fn parse(text: &str) -> Option<[u8; 6]> {
    let mut bytes = [0; 6];
    let mut pairs = text.split(':');
    for byte in &mut bytes {
        let pair = pairs.next()?;
        // `from_str_radix` alone would let `+1` and `1` pass.
        let is_pair = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
        *byte = u8::from_str_radix(is_pair.then_some(pair)?, 16).ok()?;
    }
    pairs.next().is_none().then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_six_pairs_are_an_address() {
        let address: MacAddress = "06:00:AC:10:00:02".parse().unwrap();
        assert_eq!(address.to_string(), "06:00:ac:10:00:02");
        for bad in [
            "",
            "06:00:ac:10:00",
            "06:00:ac:10:00:02:03",
            "06-00-ac-10-00-02",
            "06:00:ac:10:00:0",
            "06:00:ac:10:00:+2",
            "06:00:ac:10:00:0g",
        ] {
            assert!(bad.parse::<MacAddress>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(bytes: [u8; 6]) {
            let address = MacAddress::new(bytes);
            prop_assert_eq!(address.to_string().parse::<MacAddress>().unwrap(), address);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[0-9a-f:é]{0,24}") {
            let _ = text.parse::<MacAddress>();
        }
    }
}
