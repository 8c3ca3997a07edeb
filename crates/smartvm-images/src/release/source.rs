//! Where releases come from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::Url;

use super::version::ReleaseVersion;
use crate::base_image::Arch;
use crate::shown_url::ShownUrl;

/// The page of Firecracker's releases, or of a mirror with the same addresses below it:
/// `latest`, which redirects to `tag/vX.Y.Z`, and `download/vX.Y.Z/firecracker-vX.Y.Z-ARCH.tgz` with
/// `.sha256.txt` beside it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleaseSource(Url);

impl ReleaseSource {
    /// Where Firecracker's releases are published.
    pub const OFFICIAL: &str = "https://github.com/firecracker-microvm/firecracker/releases";

    /// The address that redirects to the latest release.
    pub(super) fn latest(&self) -> Url {
        below(&self.0, &["latest"])
    }

    /// The version that the latest release's page is about.
    pub(super) fn version_of(page: &Url) -> Option<ReleaseVersion> {
        let mut parts = page.path_segments()?.rev();
        let version = parts.next()?.parse().ok()?;
        (parts.next() == Some("tag")).then_some(version)
    }

    /// The address of a version's archive.
    pub(super) fn archive(&self, version: ReleaseVersion, arch: Arch) -> Url {
        below(&self.0, &["download", &version.to_string(), &archive_name(version, arch)])
    }

    /// The address of that archive's checksum.
    pub(super) fn checksum(&self, version: ReleaseVersion, arch: Arch) -> Url {
        let name = format!("{}.sha256.txt", archive_name(version, arch));
        below(&self.0, &["download", &version.to_string(), &name])
    }
}

/// What a version's archive is called.
pub(super) fn archive_name(version: ReleaseVersion, arch: Arch) -> String {
    format!("firecracker-{version}-{arch}.tgz")
}

/// An address below another.
pub(crate) fn below(base: &Url, parts: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(parts);
    }
    url
}

impl Default for ReleaseSource {
    fn default() -> Self {
        Self::OFFICIAL.parse().expect("the constant is an https URL")
    }
}

/// The text is not an address that others can be below.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the address must be an http or https URL without query")]
pub struct InvalidBaseUrl(());

impl FromStr for ReleaseSource {
    type Err = InvalidBaseUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        base_url(text).map(Self)
    }
}

/// Reads an address that others can be below.
pub(crate) fn base_url(text: &str) -> Result<Url, InvalidBaseUrl> {
    let url = Url::parse(text).map_err(|_| InvalidBaseUrl(()))?;
    let usable = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.query().is_none()
        && url.fragment().is_none();
    if usable { Ok(url) } else { Err(InvalidBaseUrl(())) }
}

impl TryFrom<String> for ReleaseSource {
    type Error = InvalidBaseUrl;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ReleaseSource> for String {
    fn from(source: ReleaseSource) -> Self {
        source.0.into()
    }
}

impl fmt::Debug for ReleaseSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", ShownUrl(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_the_release_page() {
        let source = ReleaseSource::default();
        let version = ReleaseVersion::new(1, 12, 1);
        let base = ReleaseSource::OFFICIAL;
        assert_eq!(source.latest().as_str(), format!("{base}/latest"));
        assert_eq!(
            source.archive(version, Arch::X86_64).as_str(),
            format!("{base}/download/v1.12.1/firecracker-v1.12.1-x86_64.tgz")
        );
        assert_eq!(
            source.checksum(version, Arch::Aarch64).as_str(),
            format!("{base}/download/v1.12.1/firecracker-v1.12.1-aarch64.tgz.sha256.txt")
        );
        let mirror: ReleaseSource = "http://127.0.0.1:8080/fc/".parse().unwrap();
        assert_eq!(mirror.latest().as_str(), "http://127.0.0.1:8080/fc/latest");
    }

    #[test]
    fn the_version_is_the_tag_that_the_page_is_about() {
        let version = |url: &str| ReleaseSource::version_of(&url.parse().unwrap());
        assert_eq!(
            version("https://h/a/releases/tag/v1.16.1"),
            Some(ReleaseVersion::new(1, 16, 1))
        );
        for url in
            ["https://h/releases/latest", "https://h/releases/v1.16.1", "https://h/tag/v1.16"]
        {
            assert_eq!(version(url), None, "{url}");
        }
    }

    #[test]
    fn only_the_web_has_releases() {
        for text in ["", "x", "file:///x", "https://h/?a", "https://h/#a"] {
            text.parse::<ReleaseSource>().unwrap_err();
        }
    }
}
