//! The names of snapshots, which are names of directories too.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Names a snapshot on one host: 1 to 128 of `A-Z a-z 0-9 . _ -`, starting with a letter or digit,
/// so that it can never leave the directory of the snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SnapshotName(String);

impl SnapshotName {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 128;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SnapshotName {
    type Err = InvalidSnapshotName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rule = if text.is_empty() || text.len() > Self::MAX_LEN {
            "must have 1 to 128 characters"
        } else if !text.starts_with(|first: char| first.is_ascii_alphanumeric()) {
            "must start with a letter or digit"
        } else if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
            "must consist of letters, digits, `.`, `_` and `-`"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(InvalidSnapshotName { name: text.chars().take(80).collect(), rule })
    }
}

impl TryFrom<String> for SnapshotName {
    type Error = InvalidSnapshotName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SnapshotName> for String {
    fn from(name: SnapshotName) -> Self {
        name.0
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that cannot name a snapshot. Code `INVALID_SNAPSHOT_NAME`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("snapshot name {name:?} {rule}")]
pub struct InvalidSnapshotName {
    /// The refused text, cut to 80 characters.
    pub name: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_plain_directory() {
        for name in ["a", "web-1.2026_11", "0", &"x".repeat(128)] {
            assert_eq!(name.parse::<SnapshotName>().unwrap().as_str(), name);
        }
        for name in ["", ".", "..", ".draft-a", "-rf", "a/b", "a b", "ü", "a\n", &"x".repeat(129)]
        {
            assert!(name.parse::<SnapshotName>().is_err(), "{name:?} was accepted");
        }
    }
}
