//! Numbers that Firecracker wants as text: `0x10`, `0b10` or `16`.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes the number as Firecracker's own templates do: hexadecimal.
pub(super) fn serialize<N, S>(number: &N, serializer: S) -> Result<S::Ok, S::Error>
where
    N: Copy + Into<u64>,
    S: Serializer,
{
    let number: u64 = (*number).into();
    serializer.collect_str(&format_args!("{number:#x}"))
}

/// Reads any of the three forms; a number too large for its field is an error.
pub(super) fn deserialize<'de, N, D>(deserializer: D) -> Result<N, D::Error>
where
    N: TryFrom<u64>,
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    parse(&text).and_then(|number| N::try_from(number).ok()).ok_or_else(|| {
        D::Error::custom(format_args!(
            "`{text}` is not a number such as `0x10`, `0b10` or `16` that fits"
        ))
    })
}

fn parse(text: &str) -> Option<u64> {
    let (digits, radix) = match text.get(..2) {
        Some("0x") => (&text[2..], 16),
        Some("0b") => (&text[2..], 2),
        _ => (text, 10),
    };
    // `from_str_radix` alone would let `+1` pass.
    if digits.starts_with('+') { None } else { u64::from_str_radix(digits, radix).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_are_one_number() {
        for text in ["0x10a", "0b100001010", "266"] {
            assert_eq!(parse(text), Some(0x10a), "{text}");
        }
        for text in ["", "0x", "0b", "+1", "0x+1", "-1", "1a", "0xé", "é"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
