//! Numbers as Firecracker's CPU templates write them.

/// A number in hex (`0x`), binary (`0b`) or decimal.
pub(super) fn parse(text: &str) -> Option<u64> {
    let (digits, radix) = match text.get(..2) {
        Some("0x") => (&text[2..], 16),
        Some("0b") => (&text[2..], 2),
        _ => (text, 10),
    };
    // from_str_radix would take a sign.
    if digits.starts_with('+') { None } else { u64::from_str_radix(digits, radix).ok() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_number_is_read_in_each_notation(number: u64) {
            for text in [format!("{number:#x}"), format!("{number:#b}"), number.to_string()] {
                prop_assert_eq!(parse(&text), Some(number), "{}", text);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,20}") {
            parse(&text);
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "0x", "0b", "0b2", "x", "-1", "+1", "0x+1", "0x10000000000000000"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
