//! The version of a kernel, as `uname -r` would print it inside the guest.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// `__NEW_UTS_LEN`: the kernel cannot have a longer one.
const MAX_LEN: usize = 64;
/// The start of the banner that every kernel holds and prints first.
const BANNER: &[u8] = b"Linux version ";

/// A kernel's version, such as `6.1.0-56-amd64`: at most 64 of the characters `A-Za-z0-9._+~-`,
/// beginning with a digit. Safe as the name of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KernelVersion(String);

/// The reason why text is no kernel version.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{text}` is not a kernel version such as 6.1.0-56-amd64")]
pub struct ParseKernelVersionError {
    text: String,
}

impl KernelVersion {
    /// The version as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The version that begins a boot header's text `6.1.0-56-amd64 (builder) #1 SMP …`.
    pub(super) fn from_header(text: &str) -> Option<Self> {
        text.split(' ').next()?.parse().ok()
    }

    /// The version in the banner of an unpacked kernel.
    pub(super) fn find_in(vmlinux: &[u8]) -> Option<Self> {
        let mut rest = vmlinux;
        loop {
            // Short slices are compared only where the first byte fits: the file may be huge.
            let at = rest.iter().position(|byte| *byte == BANNER[0])?;
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix(BANNER) {
                let word = &after[..after.len().min(MAX_LEN + 1)];
                let end = word.iter().position(|byte| *byte == b' ').unwrap_or(word.len());
                // Format strings such as "Linux version %s" come by as well.
                if let Some(version) =
                    std::str::from_utf8(&word[..end]).ok().and_then(|word| word.parse().ok())
                {
                    return Some(version);
                }
            }
            rest = &rest[1..];
        }
    }
}

impl FromStr for KernelVersion {
    type Err = ParseKernelVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._+~-".contains(&byte);
        let good = text.len() <= MAX_LEN
            && text.starts_with(|first: char| first.is_ascii_digit())
            && text.contains('.')
            && text.bytes().all(allowed);
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseKernelVersionError { text: text.chars().take(MAX_LEN).collect() })
        }
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_banner_is_found_past_format_strings_and_near_misses() {
        let bytes = b"\0Linux version %s\0LLinux versio\0Linux version 6.1.0-56-amd64 (gcc) #1\0";
        assert_eq!(KernelVersion::find_in(bytes).unwrap().as_str(), "6.1.0-56-amd64");
        assert_eq!(KernelVersion::find_in(b"Linux version "), None);
        assert_eq!(KernelVersion::find_in(b""), None);
    }

    #[test]
    fn the_header_text_gives_its_first_word() {
        let text = "6.12.3+deb13~rc1-amd64 (builder@host) #1 SMP";
        assert_eq!(KernelVersion::from_header(text).unwrap().as_str(), "6.12.3+deb13~rc1-amd64");
    }

    #[test]
    fn text_that_could_leave_a_directory_is_no_version() {
        for bad in ["", ".", "..", "6", "6./..", "6.1/x", "6.1 x", "-6.1", "6.1\n", "6.1\0"] {
            assert!(bad.parse::<KernelVersion>().is_err(), "{bad:?}");
        }
        assert!(format!("6.{}", "1".repeat(MAX_LEN - 2)).parse::<KernelVersion>().is_ok());
        assert!(format!("6.{}", "1".repeat(MAX_LEN - 1)).parse::<KernelVersion>().is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_searched(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut haystack = bytes;
            haystack.extend_from_slice(b"\0Linux version 6.1.0 x");
            prop_assert_eq!(KernelVersion::find_in(&haystack).unwrap().0, "6.1.0");
        }
    }
}
