//! Numbers and bitmaps as Firecracker's CPU templates write them.

/// A number of up to `bits` bits in hex (`0x`), binary (`0b`) or decimal.
pub(super) fn parse(text: &str, bits: u32) -> Option<u64> {
    let (digits, radix) = match text.get(..2) {
        Some("0x") => (&text[2..], 16),
        Some("0b") => (&text[2..], 2),
        _ => (text, 10),
    };
    // from_str_radix would take a sign.
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let number = u64::from_str_radix(digits, radix).ok()?;
    (bits >= 64 || number >> bits == 0).then_some(number)
}

/// Whether `text` is `0b` and one to `bits` of `0`, `1` and `x`; `_` may stand between them.
pub(super) fn is_bitmap(text: &str, bits: u32) -> bool {
    let Some(text) = text.strip_prefix("0b") else { return false };
    let given = text.bytes().filter(|b| *b != b'_').count();
    text.bytes().all(|b| matches!(b, b'0' | b'1' | b'x' | b'_'))
        && (1..=bits as usize).contains(&given)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_number_is_read_in_each_notation(number: u32) {
            for text in [format!("{number:#x}"), format!("{number:#b}"), number.to_string()] {
                prop_assert_eq!(parse(&text, 32), Some(number.into()), "{}", text);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,20}") {
            parse(&text, 32);
            is_bitmap(&text, 32);
        }
    }

    #[test]
    fn what_is_no_number_or_too_large_is_refused() {
        for text in ["", "0x", "0b", "0b2", "x", "-1", "+1", "0x+1", "0x100000000", "4294967296"] {
            assert_eq!(parse(text, 32), None, "{text:?}");
        }
        assert_eq!(parse("0xffffffffffffffff", 64), Some(u64::MAX));
    }

    #[test]
    fn bitmaps_have_at_most_their_registers_bits() {
        assert!(is_bitmap("0b1", 32));
        assert!(is_bitmap("0bxxxx_0000_1111", 32));
        assert!(is_bitmap(&format!("0b{}", "x".repeat(64)), 64));
        for text in ["", "0b", "0b_", "1", "0x1", "0b2", "0bX", &format!("0b{}", "1".repeat(33))] {
            assert!(!is_bitmap(text, 32), "{text:?}");
        }
    }
}
