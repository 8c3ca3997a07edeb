//! Names that become names of files: of bundles, and of what is in them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::quoted::Quoted;

/// The longest name; the system's own limit is 255.
const MAX: usize = 200;

/// The name of a bundle, and of its directory in the cache: `A-Z a-z 0-9 . _ -`, at most 200, and
/// neither `.` nor `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BundleId(String);

/// The name of an artifact's file in its bundle: `A-Z a-z 0-9 . _ -`, at most 200, neither `.` nor
/// `..`, and not `manifest.json`, which describes the bundle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ArtifactFileName(String);

/// The file that describes a bundle.
pub(crate) const MANIFEST_FILE: &str = "manifest.json";

/// The text is not such a name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} is not {what}: {rule}", Quoted(text))]
pub struct InvalidNameError {
    what: &'static str,
    text: String,
    rule: &'static str,
}

fn broken_rule(text: &str) -> Option<&'static str> {
    if text.is_empty() || text.len() > MAX {
        Some("it must have 1 to 200 characters")
    } else if !text.bytes().all(is_plain) {
        Some("it may have letters, digits, dot, underscore and dash only")
    } else if text == "." || text == ".." {
        Some("it names a directory")
    } else {
        None
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

/// `text` with every character that no name may have as `_`.
fn sanitized(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii() && is_plain(c as u8) { c } else { '_' })
        .take(MAX)
        .collect()
}

impl BundleId {
    /// The id with every character that it may not have as `_`; none for a text that is no name even
    /// so.
    #[must_use]
    pub fn sanitized(text: &str) -> Option<Self> {
        sanitized(text).parse().ok()
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ArtifactFileName {
    /// The last part of a path or of a URL's path as a file's name, every character that it may not
    /// have as `_`; none when that leaves no name.
    #[must_use]
    pub fn last_part_of(path: &str) -> Option<Self> {
        sanitized(path.rsplit('/').next().unwrap_or(path)).parse().ok()
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BundleId {
    type Err = InvalidNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |rule| InvalidNameError { what: "a bundle id", text: text.to_owned(), rule };
        broken_rule(text).map_or_else(|| Ok(Self(text.to_owned())), |rule| Err(invalid(rule)))
    }
}

impl FromStr for ArtifactFileName {
    type Err = InvalidNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let taken = "that file describes the bundle";
        let rule = broken_rule(text).or_else(|| (text == MANIFEST_FILE).then_some(taken));
        let invalid =
            |rule| InvalidNameError { what: "a plain file name", text: text.to_owned(), rule };
        rule.map_or_else(|| Ok(Self(text.to_owned())), |rule| Err(invalid(rule)))
    }
}

impl TryFrom<String> for BundleId {
    type Error = InvalidNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<String> for ArtifactFileName {
    type Error = InvalidNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<BundleId> for String {
    fn from(id: BundleId) -> Self {
        id.0
    }
}

impl From<ArtifactFileName> for String {
    fn from(name: ArtifactFileName) -> Self {
        name.0
    }
}

impl fmt::Display for BundleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ArtifactFileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_directory() {
        let long = "x".repeat(MAX + 1);
        for text in ["", ".", "..", "../x", "a/b", "/a", "a\\b", "a b", "ä", "a\n", "a\0", &long] {
            text.parse::<BundleId>().unwrap_err();
            text.parse::<ArtifactFileName>().unwrap_err();
        }
        for text in ["a", ".hidden", "...", "A-1_b.ext4", &long[1..]] {
            assert_eq!(text.parse::<BundleId>().unwrap().as_str(), text);
            assert_eq!(text.parse::<ArtifactFileName>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn no_artifact_replaces_what_describes_its_bundle() {
        let error = "manifest.json".parse::<ArtifactFileName>().unwrap_err();
        assert!(error.to_string().contains("describes the bundle"), "{error}");
        "manifest.json".parse::<BundleId>().unwrap();
    }

    #[test]
    fn a_file_is_named_after_the_last_part_of_where_it_comes_from() {
        let name = |path| ArtifactFileName::last_part_of(path).map(String::from);
        assert_eq!(name("/a/b/vmlinux-6.1").as_deref(), Some("vmlinux-6.1"));
        assert_eq!(name("a%20b").as_deref(), Some("a_20b"));
        assert_eq!(name("/a/.."), None);
        assert_eq!(name("/a/"), None);
        assert_eq!(BundleId::sanitized("a b/c").unwrap().as_str(), "a_b_c");
    }
}
