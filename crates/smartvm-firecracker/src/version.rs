//! Firecracker's version number.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A Firecracker version such as `1.12.1` or `1.17.0-dev`.
///
/// Parsed with or without a leading `v`, shown without. A pre-release is older than the release
/// of the same number; two pre-releases of one number are ordered by their text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FirecrackerVersion {
    /// Changes when the API breaks.
    pub major: u16,
    /// Changes when the API grows.
    pub minor: u16,
    /// Changes with corrections only.
    pub patch: u16,
    pre: Option<String>,
}

impl FirecrackerVersion {
    /// A released version.
    #[must_use]
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch, pre: None }
    }

    /// Whether this is a development build such as `1.17.0-dev`.
    #[must_use]
    pub const fn is_prerelease(&self) -> bool {
        self.pre.is_some()
    }
}

impl Ord for FirecrackerVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        let release = |v: &Self| (v.major, v.minor, v.patch);
        release(self).cmp(&release(other)).then_with(|| match (&self.pre, &other.pre) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) => a.cmp(b),
        })
    }
}

impl PartialOrd for FirecrackerVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for FirecrackerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        self.pre.as_ref().map_or(Ok(()), |pre| write!(f, "-{pre}"))
    }
}

impl FromStr for FirecrackerVersion {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ParseVersionError { text: text.to_owned() })
    }
}

impl TryFrom<String> for FirecrackerVersion {
    type Error = ParseVersionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<FirecrackerVersion> for String {
    fn from(version: FirecrackerVersion) -> Self {
        version.to_string()
    }
}

/// The text is not a version of the form `MAJOR.MINOR.PATCH` or `MAJOR.MINOR.PATCH-PRE`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a version of the form 1.2.3 or 1.2.3-dev")]
pub struct ParseVersionError {
    text: String,
}

fn parse(text: &str) -> Option<FirecrackerVersion> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (release, pre) = match text.split_once('-') {
        Some((release, pre)) => (release, Some(pre)),
        None => (text, None),
    };
    if !pre.is_none_or(is_prerelease_name) {
        return None;
    }
    let mut numbers = release.split('.').map(parse_number);
    let version = FirecrackerVersion {
        major: numbers.next()??,
        minor: numbers.next()??,
        patch: numbers.next()??,
        pre: pre.map(str::to_owned),
    };
    numbers.next().is_none().then_some(version)
}

/// `u16::from_str` alone would let `+1` pass.
fn parse_number(text: &str) -> Option<u16> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

fn is_prerelease_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(text: &str) -> FirecrackerVersion {
        text.parse().unwrap()
    }

    #[test]
    fn accepts_a_leading_v_and_shows_none() {
        assert_eq!(version("v1.12.1").to_string(), "1.12.1");
        assert_eq!(version("1.17.0-dev").to_string(), "1.17.0-dev");
        assert_eq!(version("v1.12.1"), FirecrackerVersion::new(1, 12, 1));
    }

    #[test]
    fn orders_by_number_and_not_by_text() {
        assert!(version("1.9.1") < version("1.12.0"));
        assert!(version("1.17.0-dev") < version("1.17.0"));
        assert!(version("1.16.1") < version("1.17.0-dev"));
    }

    #[test]
    fn refuses_what_is_not_three_numbers() {
        for text in ["", "v", "1", "1.2", "1.2.3.4", "1.2.x", "1.+2.3", "1.2.3-", "1.2.99999"] {
            let refused = text.parse::<FirecrackerVersion>();
            assert!(refused.is_err(), "{text:?} was read as {refused:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back_as_the_same_version(
            major: u16, minor: u16, patch: u16, pre in proptest::option::of("[A-Za-z0-9.-]{1,12}")
        ) {
            let shown = FirecrackerVersion { major, minor, patch, pre };
            prop_assert_eq!(version(&shown.to_string()), shown);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,40}") {
            let _ = text.parse::<FirecrackerVersion>();
        }
    }
}
