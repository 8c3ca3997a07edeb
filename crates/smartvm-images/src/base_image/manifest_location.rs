//! Where a manifest is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::Url;

use crate::shown_url::ShownUrl;
use crate::signature::SUFFIX;

/// Where a manifest is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestLocation {
    /// A file of this host.
    Path(PathBuf),
    /// On a server.
    Url(ManifestUrl),
}

/// The address of a manifest, http or https. What may be secret in it, a password or a query, is left
/// out wherever it is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ManifestUrl(Url);

/// The text is not the address of a manifest. It is not shown: it may carry a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the address of the base image manifest must be an http or https URL")]
pub struct InvalidManifestUrl(());

impl InvalidManifestUrl {
    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "BASE_IMAGE_MANIFEST_FAILED"
    }
}

impl ManifestLocation {
    /// Where the signature of the manifest is: beside it, the same name with `.sig` behind it.
    pub(super) fn of_signature(&self) -> Self {
        match self {
            Self::Path(path) => {
                let mut path = path.clone().into_os_string();
                path.push(SUFFIX);
                Self::Path(path.into())
            }
            Self::Url(ManifestUrl(url)) => {
                let mut url = url.clone();
                url.set_path(&format!("{}{SUFFIX}", url.path()));
                Self::Url(ManifestUrl(url))
            }
        }
    }
}

impl ManifestUrl {
    pub(super) fn as_url(&self) -> &Url {
        &self.0
    }
}

impl FromStr for ManifestUrl {
    type Err = InvalidManifestUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| InvalidManifestUrl(()))?;
        let usable = matches!(url.scheme(), "http" | "https") && url.has_host();
        if usable { Ok(Self(url)) } else { Err(InvalidManifestUrl(())) }
    }
}

impl TryFrom<String> for ManifestUrl {
    type Error = InvalidManifestUrl;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ManifestUrl> for String {
    fn from(url: ManifestUrl) -> Self {
        url.0.into()
    }
}

impl fmt::Display for ManifestUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&ShownUrl(&self.0), f)
    }
}

impl fmt::Debug for ManifestUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&ShownUrl(&self.0), f)
    }
}
