//! The processor that an image is for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::quoted::Quoted;

/// An architecture that Firecracker runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Arch {
    /// `x86_64`.
    #[serde(rename = "x86_64")]
    X86_64,
    /// `aarch64`.
    #[serde(rename = "aarch64")]
    Aarch64,
}

impl Arch {
    /// The architecture that this program was built for.
    pub const HOST: Self = if cfg!(target_arch = "aarch64") { Self::Aarch64 } else { Self::X86_64 };

    /// The name that Firecracker's releases and the kernel use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }
}

impl Default for Arch {
    fn default() -> Self {
        Self::HOST
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not an architecture that Firecracker runs on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} is not an architecture: there are x86_64 and aarch64", Quoted(text))]
pub struct ParseArchError {
    text: String,
}

impl FromStr for Arch {
    type Err = ParseArchError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::X86_64, Self::Aarch64]
            .into_iter()
            .find(|arch| arch.as_str() == text)
            .ok_or_else(|| ParseArchError { text: text.to_owned() })
    }
}
