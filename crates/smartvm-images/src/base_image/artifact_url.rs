//! Where a hosted artifact is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::Url;

use super::names::ArtifactFileName;
use crate::shown_url::ShownUrl;

/// The address of an artifact: an `http` or `https` URL, or the place of a file below the
/// manifest's own: plain names with `/` between, so that a directory can be served from anywhere.
///
/// What may be secret in it, a password or a query, is left out of its `Debug` form.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ArtifactUrl(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Absolute(Url),
    Beside(String),
}

impl ArtifactUrl {
    /// The whole URL, when it is one.
    #[must_use]
    pub fn absolute(&self) -> Option<&Url> {
        match &self.0 {
            Kind::Absolute(url) => Some(url),
            Kind::Beside(_) => None,
        }
    }

    /// The place below the manifest's directory, when it is one.
    #[must_use]
    pub fn beside_manifest(&self) -> Option<&str> {
        match &self.0 {
            Kind::Absolute(_) => None,
            Kind::Beside(path) => Some(path),
        }
    }

    /// What a file from there is called when nothing else is said.
    #[must_use]
    pub fn file_name(&self) -> Option<ArtifactFileName> {
        ArtifactFileName::last_part_of(match &self.0 {
            Kind::Absolute(url) => url.path(),
            Kind::Beside(path) => path,
        })
    }
}

/// The text is not the address of an artifact. It is not shown: it may carry a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the address must be an http or https URL, or plain file names with / between for a file \
     beside the manifest"
)]
pub struct InvalidArtifactUrl(());

impl FromStr for ArtifactUrl {
    type Err = InvalidArtifactUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(url) = Url::parse(text) {
            let usable = matches!(url.scheme(), "http" | "https") && url.has_host();
            return if usable {
                Ok(Self(Kind::Absolute(url)))
            } else {
                Err(InvalidArtifactUrl(()))
            };
        }
        let plain = text.split('/').all(is_plain) && text.len() < 4096;
        if plain { Ok(Self(Kind::Beside(text.to_owned()))) } else { Err(InvalidArtifactUrl(())) }
    }
}

fn is_plain(part: &str) -> bool {
    !part.is_empty()
        && part != "."
        && part != ".."
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

impl TryFrom<String> for ArtifactUrl {
    type Error = InvalidArtifactUrl;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ArtifactUrl> for String {
    fn from(url: ArtifactUrl) -> Self {
        match url.0 {
            Kind::Absolute(url) => url.into(),
            Kind::Beside(path) => path,
        }
    }
}

impl fmt::Debug for ArtifactUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Absolute(url) => write!(f, "{}", ShownUrl(url)),
            Kind::Beside(path) => f.write_str(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_web_and_files_beside_the_manifest_are_addresses() {
        for text in ["https://example.com/vmlinux", "http://127.0.0.1:8080/a?b=c"] {
            assert!(text.parse::<ArtifactUrl>().unwrap().absolute().is_some(), "{text}");
        }
        for text in ["vmlinux", "x86_64/root.ext4", ".hidden"] {
            let url: ArtifactUrl = text.parse().unwrap();
            assert_eq!(url.beside_manifest(), Some(text));
        }
        for text in [
            "",
            "/vmlinux",
            "../vmlinux",
            "a/../b",
            "a//b",
            "./a",
            "//host/a",
            "file:///etc/passwd",
            "ftp://host/a",
            "data:,x",
            "a?b",
            "a#b",
            "a%2fb",
            "https://",
            "a/",
        ] {
            text.parse::<ArtifactUrl>().unwrap_err();
        }
    }

    #[test]
    fn what_may_be_secret_in_an_address_is_not_shown() {
        let url: ArtifactUrl = "https://me:secret@host/a/b?token=secret".parse().unwrap();
        assert_eq!(format!("{url:?}"), "https://host/a/b");
        assert_eq!(url.file_name().unwrap().as_str(), "b");
    }
}
