//! The block before each file of an archive.

use thiserror::Error;

pub(super) const BLOCK: usize = 512;

/// The reason why a block is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(in crate::rootfs) enum HeaderError {
    #[error("a header's sum is wrong: the archive is damaged, or no tar archive")]
    Sum,
    #[error("a header has a damaged number")]
    Number,
}

/// A header as it is, before extensions.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) path: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) size: u64,
    pub(super) mtime: i64,
    pub(super) kind: u8,
    pub(super) link: Vec<u8>,
    pub(super) major: u64,
    pub(super) minor: u64,
}

/// Whether the first bytes of a file are a header.
pub(in crate::rootfs) fn looks_like_header(bytes: &[u8]) -> bool {
    bytes.first_chunk::<BLOCK>().is_some_and(|block| Header::parse(block).is_ok())
}

/// Whether a block is one of those that end an archive.
pub(super) fn is_end(block: &[u8; BLOCK]) -> bool {
    block.iter().all(|&byte| byte == 0)
}

impl Header {
    pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Self, HeaderError> {
        let sum = number(&block[148..156]).map_err(|_| HeaderError::Sum)?;
        if is_end(block) || sum != i128::from(checksum(block)) {
            return Err(HeaderError::Sum);
        }
        let mut path = text(&block[..100]);
        // GNU's own form, with a blank after the magic word, has other things there.
        let prefix = text(&block[345..500]);
        if block[257..263] == *b"ustar\0" && !prefix.is_empty() {
            path = [prefix, path].join(&b'/');
        }
        Ok(Self {
            path,
            // Some put the type's bits there too.
            mode: u32::try_from(number(&block[100..108])? & 0o7777).unwrap_or_default(),
            uid: unsigned(&block[108..116])?,
            gid: unsigned(&block[116..124])?,
            size: unsigned(&block[124..136])?,
            mtime: i64::try_from(number(&block[136..148])?).map_err(|_| HeaderError::Number)?,
            kind: block[156],
            link: text(&block[157..257]),
            major: unsigned(&block[329..337])?,
            minor: unsigned(&block[337..345])?,
        })
    }
}

/// The sum of all bytes, those of the sum itself taken for blanks.
pub(super) fn checksum(block: &[u8; BLOCK]) -> u32 {
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    let own: u32 = block[148..156].iter().map(|&byte| u32::from(byte)).sum();
    sum - own + 8 * u32::from(b' ')
}

fn text(field: &[u8]) -> Vec<u8> {
    field.split(|&byte| byte == 0).next().unwrap_or_default().to_vec()
}

fn unsigned(field: &[u8]) -> Result<u64, HeaderError> {
    u64::try_from(number(field)?).map_err(|_| HeaderError::Number)
}

/// Octal digits between blanks and zero bytes, or, for what these cannot say, a big-endian number
/// that begins with 0x80, or with 0xff when it is negative.
fn number(field: &[u8]) -> Result<i128, HeaderError> {
    match field.first() {
        Some(0x80) => {
            let (rest, last) = field.split_at(field.len().saturating_sub(8).max(1));
            if rest[1..].iter().any(|&byte| byte != 0) {
                return Err(HeaderError::Number);
            }
            Ok(last.iter().fold(0, |value, &byte| value << 8 | i128::from(byte)))
        }
        Some(0xff) => {
            let (rest, last) = field.split_at(field.len().saturating_sub(8).max(1));
            if rest.iter().any(|&byte| byte != 0xff) {
                return Err(HeaderError::Number);
            }
            Ok(last.iter().fold(-1, |value, &byte| value << 8 | i128::from(byte)))
        }
        _ => {
            let digits = field.trim_ascii();
            let end = digits.iter().position(|&byte| byte == 0).unwrap_or(digits.len());
            let (digits, rest) = digits.split_at(end);
            if rest.iter().any(|byte| !matches!(byte, 0 | b' ')) {
                return Err(HeaderError::Number);
            }
            digits.trim_ascii().iter().try_fold(0, |value, &digit| match digit {
                b'0'..=b'7' => Ok(value << 3 | i128::from(digit - b'0')),
                _ => Err(HeaderError::Number),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_octal_or_binary() {
        for (field, expected) in [
            (&b"0000644\0"[..], Ok(0o644)),
            (b"    644 ", Ok(0o644)),
            (b"644 \0\0\0\0", Ok(0o644)),
            (b"\0\0\0\0\0\0\0\0", Ok(0)),
            (b"\x80\0\0\0\0\0\x01\0", Ok(256)),
            (b"\x80\0\0\0\0\0\0\x02\0\0\0\0", Ok(1 << 33)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Ok(-2)),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", Err(HeaderError::Number)),
            (b"9\0", Err(HeaderError::Number)),
            (b"7\x007", Err(HeaderError::Number)),
        ] {
            assert_eq!(number(field), expected, "{field:?}");
        }
    }

    #[test]
    fn zeros_and_noise_are_no_header() {
        assert!(!looks_like_header(&[0; BLOCK]));
        assert!(!looks_like_header(&[b'a'; BLOCK]));
        assert!(!looks_like_header(b"short"));
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(noise in proptest::collection::vec(any::<u8>(), BLOCK)) {
            let mut block: [u8; BLOCK] = noise.try_into().unwrap();
            let sum = checksum(&block);
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            let _ = Header::parse(&block);
        }
    }
}
