//! The kind of a root file system.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::quoted::Quoted;

/// What a root file system's image is formatted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RootfsType {
    /// ext4, which a guest may write to.
    Ext4,
    /// squashfs, compressed and never written to.
    Squashfs,
}

impl RootfsType {
    /// The name, which is the usual ending of the file's name too.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Squashfs => "squashfs",
        }
    }

    /// Whether a drive with it is read-only when nothing else is said.
    #[must_use]
    pub const fn is_read_only_by_default(self) -> bool {
        matches!(self, Self::Squashfs)
    }
}

impl fmt::Display for RootfsType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not the kind of a root file system.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} is not a type of root file system: there are ext4 and squashfs", Quoted(text))]
pub struct ParseRootfsTypeError {
    text: String,
}

impl FromStr for RootfsType {
    type Err = ParseRootfsTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Ext4, Self::Squashfs]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| ParseRootfsTypeError { text: text.to_owned() })
    }
}
