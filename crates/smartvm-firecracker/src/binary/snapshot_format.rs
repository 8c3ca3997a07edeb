//! The version of the form in which Firecracker writes snapshots.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::FirecrackerBinary;
use super::probe::ProbeVersionError;
use crate::FirecrackerVersion;

/// The version of Firecracker's snapshot form, such as `6.0.0`. It changes by its own rules, with
/// most minor versions of Firecracker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SnapshotFormat {
    /// Changes when older snapshots cannot be read any more.
    pub major: u16,
    /// Changes when newer snapshots cannot be read.
    pub minor: u16,
    /// Changes neither.
    pub patch: u16,
}

impl SnapshotFormat {
    /// The form of that version.
    #[must_use]
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }

    /// The form that a released Firecracker writes, as far as we know it: releases 1.7 to 1.16.
    /// A development build may write any.
    #[must_use]
    pub fn of_release(version: &FirecrackerVersion) -> Option<Self> {
        if version.major != 1 || version.is_prerelease() {
            return None;
        }
        let major = match version.minor {
            minor @ 7..=12 => minor - 6,
            13 | 14 => 8,
            15 => 9,
            16 => 10,
            _ => return None,
        };
        Some(Self::new(major, 0, 0))
    }

    /// Whether a Firecracker of this form reads a snapshot of form `written`: Firecracker's own
    /// rule, which asks for the same major version and a minor one that it knows.
    #[must_use]
    pub fn reads(self, written: Self) -> bool {
        self.major == written.major && written.minor <= self.minor
    }
}

impl fmt::Display for SnapshotFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for SnapshotFormat {
    type Err = ParseFormatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseFormatError { text: text.chars().take(80).collect() };
        let version: FirecrackerVersion = text.parse().map_err(|_| wrong())?;
        if version.is_prerelease() {
            return Err(wrong());
        }
        Ok(Self::new(version.major, version.minor, version.patch))
    }
}

impl TryFrom<String> for SnapshotFormat {
    type Error = ParseFormatError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SnapshotFormat> for String {
    fn from(format: SnapshotFormat) -> Self {
        format.to_string()
    }
}

/// A text that is no version of a snapshot form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a version of a snapshot form, such as 6.0.0")]
pub struct ParseFormatError {
    text: String,
}

impl FirecrackerBinary {
    /// Runs the program with `--snapshot-version` and reads what it says.
    ///
    /// # Errors
    /// As [`version`](Self::version).
    pub async fn snapshot_format(&self) -> Result<SnapshotFormat, ProbeVersionError> {
        self.probe("--snapshot-version", |output| output.lines().next()?.trim().parse().ok()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_the_releases_are_those_of_the_table() {
        let of = |text: &str| SnapshotFormat::of_release(&text.parse().unwrap());
        assert_eq!(of("1.7.0"), Some(SnapshotFormat::new(1, 0, 0)));
        assert_eq!(of("1.12.1"), Some(SnapshotFormat::new(6, 0, 0)));
        assert_eq!(of("1.13.2"), Some(SnapshotFormat::new(8, 0, 0)));
        assert_eq!(of("1.14.4"), Some(SnapshotFormat::new(8, 0, 0)));
        assert_eq!(of("1.16.1"), Some(SnapshotFormat::new(10, 0, 0)));
        assert_eq!(of("1.17.0-dev"), None);
        assert_eq!(of("1.18.0"), None);
    }

    #[test]
    fn a_form_reads_itself_and_older_minor_versions() {
        let format = |text: &str| text.parse::<SnapshotFormat>().unwrap();
        assert!(format("8.1.0").reads(format("v8.0.3")));
        assert!(!format("8.0.0").reads(format("8.1.0")));
        assert!(!format("8.0.0").reads(format("6.0.0")));
        assert!("8.0".parse::<SnapshotFormat>().is_err());
        assert!("8.0.0-dev".parse::<SnapshotFormat>().is_err());
    }
}
