//! Memory sizes on the command line.

use std::str::FromStr;

/// The size of a guest's memory in MiB, at least 1.
///
/// `512` and `512M` are 512 MiB, `2G` is 2048 MiB; `MiB` and `GiB` say the same.
/// Letters count in either case. Units of a thousand are refused, since a guest's memory
/// comes in powers of two and `512MB` would leave open which is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemoryMib(pub(crate) u32);

/// Why a memory size is not understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MemorySyntaxError {
    /// Not a whole number with a known unit.
    #[error("write whole MiB (512), or a number with M or G (512M, 2G)")]
    Form,
    /// Zero, or more than the number holds.
    #[error("the size must be between 1 MiB and 4294967295 MiB")]
    Range,
}

impl FromStr for MemoryMib {
    type Err = MemorySyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(end);
        if digits.is_empty() {
            return Err(MemorySyntaxError::Form);
        }
        let factor: u32 = match unit.to_ascii_lowercase().as_str() {
            "" | "m" | "mib" => 1,
            "g" | "gib" => 1024,
            _ => return Err(MemorySyntaxError::Form),
        };
        let number: u32 = digits.parse().map_err(|_| MemorySyntaxError::Range)?;
        match number.checked_mul(factor) {
            None | Some(0) => Err(MemorySyntaxError::Range),
            Some(mib) => Ok(Self(mib)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_numbers_are_mib_and_units_multiply() {
        for (text, mib) in
            [("128", 128), ("512M", 512), ("512MiB", 512), ("1G", 1024), ("2gib", 2048)]
        {
            assert_eq!(text.parse(), Ok(MemoryMib(mib)), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "M", "1.5G", "-1", "512MB", "1T", " 1", "0x10"] {
            assert_eq!(text.parse::<MemoryMib>(), Err(MemorySyntaxError::Form), "{text:?}");
        }
        for text in ["0", "0G", "4194304G", "99999999999999999999"] {
            assert_eq!(text.parse::<MemoryMib>(), Err(MemorySyntaxError::Range), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_whole_number_of_mib_is_itself(mib in 1_u32..) {
            prop_assert_eq!(mib.to_string().parse(), Ok(MemoryMib(mib)));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}") {
            let _ = text.parse::<MemoryMib>();
        }
    }
}
