//! A version on the command line.

use std::str::FromStr;

use smartvm_images::{ParseReleaseVersionError, ReleaseVersion};

/// A release's version, with or without its `v`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VersionArg(pub(crate) ReleaseVersion);

impl FromStr for VersionArg {
    type Err = ParseReleaseVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let tag = if text.starts_with('v') { text.to_owned() } else { format!("v{text}") };
        tag.parse().map(Self)
    }
}
