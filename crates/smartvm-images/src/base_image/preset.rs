//! Base images that need no more than a name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::quoted::Quoted;

/// Where a base image comes from when no manifest is named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// What Firecracker's CI made for the latest release.
    #[default]
    Latest,
    /// What Firecracker's CI made for version 1.7.
    Lts,
    /// A manifest, which must be named.
    Hosted,
}

impl Preset {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::Lts => "lts",
            Self::Hosted => "hosted",
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not a preset.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} is not a preset: there are latest, lts and hosted", Quoted(text))]
pub struct ParsePresetError {
    text: String,
}

impl FromStr for Preset {
    type Err = ParsePresetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Latest, Self::Lts, Self::Hosted]
            .into_iter()
            .find(|preset| preset.as_str() == text)
            .ok_or_else(|| ParsePresetError { text: text.to_owned() })
    }
}
