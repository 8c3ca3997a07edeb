//! The version of a release, as its tag writes it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::quoted::Quoted;

/// A released Firecracker: `v1.12.1`. Ordered by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleaseVersion {
    /// Changes when the API breaks.
    pub major: u32,
    /// Changes when the API grows.
    pub minor: u32,
    /// Changes with corrections only.
    pub patch: u32,
}

impl ReleaseVersion {
    /// The version of these numbers.
    #[must_use]
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }
}

impl fmt::Display for ReleaseVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The text is not the version of a release.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} is not a version of the form v1.2.3", Quoted(text))]
pub struct ParseReleaseVersionError {
    text: String,
}

impl FromStr for ReleaseVersion {
    type Err = ParseReleaseVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ParseReleaseVersionError { text: text.to_owned() })
    }
}

fn parse(text: &str) -> Option<ReleaseVersion> {
    let mut numbers = text.strip_prefix('v')?.split('.').map(parse_number);
    let version = ReleaseVersion::new(numbers.next()??, numbers.next()??, numbers.next()??);
    numbers.next().is_none().then_some(version)
}

/// `u32::from_str` alone would let `+1` pass, and `01` would be written back as another text.
pub(crate) fn parse_number(text: &str) -> Option<u32> {
    let plain = text == "0" || !text.starts_with('0');
    (plain && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

impl TryFrom<String> for ReleaseVersion {
    type Error = ParseReleaseVersionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ReleaseVersion> for String {
    fn from(version: ReleaseVersion) -> Self {
        version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_reads_back_as_it_was_written() {
        let version: ReleaseVersion = "v1.12.1".parse().unwrap();
        assert_eq!(version, ReleaseVersion::new(1, 12, 1));
        assert_eq!(version.to_string(), "v1.12.1");
    }

    #[test]
    fn versions_are_ordered_by_number() {
        assert!("v1.9.1".parse::<ReleaseVersion>().unwrap() < ReleaseVersion::new(1, 12, 0));
    }

    #[test]
    fn what_is_not_v_and_three_numbers_is_refused() {
        for text in [
            "",
            "v",
            "1.2.3",
            "v1.2",
            "v1.2.3.4",
            "v1.2.x",
            "v1.+2.3",
            "v1.2.3-dev",
            "v01.2.3",
            "v1.2.99999999999",
            " v1.2.3",
            "v1..3",
        ] {
            text.parse::<ReleaseVersion>().unwrap_err();
        }
    }
}
