//! Sizes of images on the command line.

use std::str::FromStr;

/// A size in MiB: `512` and `512M` are 512 MiB, `2G` is 2048 MiB, `1T` is 1048576 MiB; `MiB`, `GiB`
/// and `TiB` say the same. Letters count in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SizeMib(pub(crate) u64);

/// Why a size is not understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("write whole MiB (512), or a number with M, G or T (512M, 2G), between 1 MiB and 16 TiB")]
pub(crate) struct SizeSyntaxError;

impl FromStr for SizeMib {
    type Err = SizeSyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(end);
        let factor: u64 = match unit.to_ascii_lowercase().as_str() {
            "" | "m" | "mib" => 1,
            "g" | "gib" => 1 << 10,
            "t" | "tib" => 1 << 20,
            _ => return Err(SizeSyntaxError),
        };
        let number: u64 = digits.parse().map_err(|_| SizeSyntaxError)?;
        let mib = number.checked_mul(factor).filter(|mib| (1..=16 << 20).contains(mib));
        mib.map(Self).ok_or(SizeSyntaxError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_numbers_are_mib_and_units_multiply() {
        for (text, mib) in
            [("128", 128), ("512MiB", 512), ("1G", 1024), ("2gib", 2048), ("16T", 16 << 20)]
        {
            assert_eq!(text.parse(), Ok(SizeMib(mib)), "{text}");
        }
        for text in ["", "M", "1.5G", "-1", "512MB", " 1", "0", "17T", "99999999999999999999"] {
            assert_eq!(text.parse::<SizeMib>(), Err(SizeSyntaxError), "{text:?}");
        }
    }
}
