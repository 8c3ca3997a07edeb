//! The bucket of Firecracker's CI, or a mirror of it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

use super::listing::{Listing, ParseListingError};
use crate::download::{DownloadError, Downloader};
use crate::release::{InvalidBaseUrl, base_url, below};
use crate::shown_url::ShownUrl;

/// The most bytes of a page, and the most pages of a listing: 1000 keys each.
const MAX_PAGE: u64 = 8 << 20;
const MAX_PAGES: usize = 100;
/// The most bytes that the names of all pages may have: a hundred full pages have a tenth of it.
const MAX_NAMES: usize = 64 << 20;

/// The address of a bucket that answers as S3 does (ListObjectsV2, path style).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BucketUrl(Url);

/// The reason why a bucket was not listed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListBucketError {
    /// It was not reached, or refused.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// The answer is no listing.
    #[error("the answer of {url} is of no use")]
    Parse {
        /// The bucket.
        url: String,
        /// What is wrong with it.
        #[source]
        source: ParseListingError,
    },
    /// It goes on without end.
    #[error("the listing of {url} has more than {MAX_PAGES} pages, or too many names")]
    Endless {
        /// The bucket.
        url: String,
    },
}

impl BucketUrl {
    /// Where Firecracker's CI publishes.
    pub const OFFICIAL: &str = "https://s3.amazonaws.com/spec.ccfc.min";

    /// The keys that begin with `prefix`; with `delimiter`, those without a `/` behind the prefix, and
    /// what the others begin with up to it. All pages.
    pub(super) async fn list(
        &self,
        downloader: &Downloader,
        prefix: &str,
        delimiter: bool,
    ) -> Result<Listing, ListBucketError> {
        let shown = || ShownUrl(&self.0).to_string();
        let mut all = Listing::default();
        let mut token: Option<String> = None;
        let mut names = 0;
        for _ in 0..MAX_PAGES {
            let mut url = self.0.clone();
            if !url.path().ends_with('/') {
                url.set_path(&format!("{}/", url.path()));
            }
            {
                let mut query = url.query_pairs_mut();
                query.append_pair("list-type", "2").append_pair("prefix", prefix);
                if delimiter {
                    query.append_pair("delimiter", "/");
                }
                if let Some(token) = &token {
                    query.append_pair("continuation-token", token);
                }
            }
            let text = downloader.fetch_document(&url, MAX_PAGE).await?;
            let page = Listing::parse(&text)
                .map_err(|source| ListBucketError::Parse { url: shown(), source })?;
            names += page.keys.iter().chain(&page.prefixes).map(|it| it.len() + 24).sum::<usize>();
            if names > MAX_NAMES {
                return Err(ListBucketError::Endless { url: shown() });
            }
            all.keys.extend(page.keys);
            all.prefixes.extend(page.prefixes);
            token = page.next;
            if token.is_none() {
                return Ok(all);
            }
        }
        Err(ListBucketError::Endless { url: shown() })
    }

    /// The address of an object.
    pub(super) fn object(&self, key: &str) -> Url {
        below(&self.0, &key.split('/').collect::<Vec<_>>())
    }
}

impl Default for BucketUrl {
    fn default() -> Self {
        Self::OFFICIAL.parse().expect("the constant is an https URL")
    }
}

impl FromStr for BucketUrl {
    type Err = InvalidBaseUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        base_url(text).map(Self)
    }
}

impl TryFrom<String> for BucketUrl {
    type Error = InvalidBaseUrl;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<BucketUrl> for String {
    fn from(url: BucketUrl) -> Self {
        url.0.into()
    }
}

impl fmt::Debug for BucketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for BucketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", ShownUrl(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_becomes_an_address_whatever_is_in_it() {
        let bucket: BucketUrl = "http://127.0.0.1:1/b".parse().unwrap();
        assert_eq!(bucket.object("a/b c/d?e").as_str(), "http://127.0.0.1:1/b/a/b%20c/d%3Fe");
        let official = BucketUrl::default();
        assert_eq!(official.object("x").as_str(), "https://s3.amazonaws.com/spec.ccfc.min/x");
    }
}
