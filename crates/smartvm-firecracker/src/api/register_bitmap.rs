//! Which bits of a register a processor template changes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::InvalidValue;

/// A change of the bits of a register of `BITS` bits, at most 128: `0b`, then for each bit `0`
/// (clear it), `1` (set it) or `x` (leave it). Bits not written, at the left, are left.
///
/// It may be written with `_` between the bits, as people do; it is sent without.
///
/// ```
/// use smartvm_firecracker::api::RegisterBitmap;
///
/// let bitmap: RegisterBitmap<32> = "0b1x0".parse()?;
/// assert_eq!((bitmap.filter(), bitmap.value()), (0b101, 0b100));
/// assert!("0b2".parse::<RegisterBitmap<32>>().is_err());
/// # Ok::<(), smartvm_firecracker::api::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RegisterBitmap<const BITS: usize> {
    filter: u128,
    value: u128,
}

impl<const BITS: usize> RegisterBitmap<BITS> {
    /// The bits that are changed.
    #[must_use]
    pub const fn filter(self) -> u128 {
        self.filter
    }

    /// What the changed bits become.
    #[must_use]
    pub const fn value(self) -> u128 {
        self.value
    }
}

impl<const BITS: usize> FromStr for RegisterBitmap<BITS> {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        parse(text, BITS).map(|(filter, value)| Self { filter, value }).ok_or_else(|| {
            let rule = "it must be `0b` and then a `0`, `1` or `x` for each bit of the register";
            InvalidValue::new("a bitmap of a register", text, rule)
        })
    }
}

impl<const BITS: usize> TryFrom<String> for RegisterBitmap<BITS> {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        text.parse()
    }
}

impl<const BITS: usize> From<RegisterBitmap<BITS>> for String {
    fn from(bitmap: RegisterBitmap<BITS>) -> Self {
        bitmap.to_string()
    }
}

impl<const BITS: usize> fmt::Display for RegisterBitmap<BITS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bit = |index: usize| match (self.filter >> index & 1, self.value >> index & 1) {
            (0, _) => 'x',
            (_, 0) => '0',
            (_, _) => '1',
        };
        let bits: String = (0..BITS).rev().map(bit).collect();
        write!(f, "0b{bits}")
    }
}

fn parse(text: &str, bits: usize) -> Option<(u128, u128)> {
    let written = text.strip_prefix("0b")?.bytes().filter(|b| *b != b'_');
    let (mut filter, mut value, mut count) = (0_u128, 0_u128, 0);
    for bit in written {
        let (changed, set) = match bit {
            b'0' => (1, 0),
            b'1' => (1, 1),
            b'x' => (0, 0),
            _ => return None,
        };
        (filter, value, count) = (filter << 1 | changed, value << 1 | set, count + 1);
        if count > bits.min(128) {
            return None;
        }
    }
    (count > 0).then_some((filter, value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_fits_its_register() {
        assert!(format!("0b{}", "1".repeat(32)).parse::<RegisterBitmap<32>>().is_ok());
        assert!(format!("0b{}", "x".repeat(33)).parse::<RegisterBitmap<32>>().is_err());
        assert!(format!("0b{}", "1".repeat(128)).parse::<RegisterBitmap<128>>().is_ok());
        for bad in ["", "0b", "1", "0x1", "0b2", "0b X", "0b_"] {
            assert!(bad.parse::<RegisterBitmap<64>>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(text in "0b[01x]{1,64}") {
            let bitmap: RegisterBitmap<64> = text.parse().unwrap();
            prop_assert_eq!(bitmap.to_string().len(), 66);
            prop_assert_eq!(bitmap.to_string().parse::<RegisterBitmap<64>>().unwrap(), bitmap);
            prop_assert!(bitmap.to_string().ends_with(text.trim_start_matches("0b")));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,200}") {
            let _ = text.parse::<RegisterBitmap<128>>();
        }
    }
}
