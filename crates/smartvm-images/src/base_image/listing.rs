//! A page of a bucket's listing, as S3's ListObjectsV2 writes it.

use serde::Deserialize;
use thiserror::Error;

/// A page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The keys of objects.
    pub keys: Vec<String>,
    /// What keys begin with up to the delimiter, when one was asked for.
    pub prefixes: Vec<String>,
    /// What to ask for the next page with; none on the last page.
    pub next: Option<String>,
}

/// The text is no page of a listing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ParseListingError {
    /// It is not the XML of one.
    #[error("it is not the listing of a bucket")]
    Xml(#[source] Box<quick_xml::DeError>),
    /// It is not text.
    #[error("it is not text")]
    NotText,
    /// It says that there is more, and not how to get it.
    #[error("it says that there is more, and not how to get it")]
    NoToken,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListBucketResult {
    // Not optional, so that an error's document is no empty listing.
    is_truncated: bool,
    next_continuation_token: Option<String>,
    #[serde(default)]
    contents: Vec<Contents>,
    #[serde(default)]
    common_prefixes: Vec<CommonPrefixes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Contents {
    key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CommonPrefixes {
    prefix: String,
}

impl Listing {
    /// Reads a page.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &[u8]) -> Result<Self, ParseListingError> {
        let text = std::str::from_utf8(text).map_err(|_| ParseListingError::NotText)?;
        let page: ListBucketResult = quick_xml::de::from_str(text)
            .map_err(|source| ParseListingError::Xml(Box::new(source)))?;
        let token = page.next_continuation_token.filter(|token| !token.is_empty());
        if page.is_truncated && token.is_none() {
            return Err(ParseListingError::NoToken);
        }
        Ok(Self {
            keys: page.contents.into_iter().map(|object| object.key).collect(),
            prefixes: page.common_prefixes.into_iter().map(|common| common.prefix).collect(),
            next: token.filter(|_| page.is_truncated),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_prefixes_and_the_next_page_are_read() {
        let text = br#"<?xml version="1.0" encoding="UTF-8"?>
            <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>
            <IsTruncated>true</IsTruncated><NextContinuationToken>a+b/=&amp;</NextContinuationToken>
            <Contents><Key>a&amp;b&lt;&gt;&quot;&#39;&#x41;</Key><Size>1</Size></Contents>
            <CommonPrefixes><Prefix>20261101-abc/</Prefix></CommonPrefixes>
            <Contents><Key>c</Key><Size>1</Size></Contents></ListBucketResult>"#;
        let page = Listing::parse(text).unwrap();
        assert_eq!(page.keys, ["a&b<>\"'A", "c"]);
        assert_eq!(page.prefixes, ["20261101-abc/"]);
        assert_eq!(page.next.as_deref(), Some("a+b/=&"));
    }

    #[test]
    fn an_empty_last_page_is_a_listing() {
        let text = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
        assert_eq!(Listing::parse(text).unwrap(), Listing::default());
    }

    #[test]
    fn what_is_no_listing_is_not_taken_for_an_empty_one() {
        let cases: [&[u8]; 6] = [
            b"",
            b"<html><body>hello</body></html>",
            b"<Error><Code>AccessDenied</Code></Error>",
            b"<ListBucketResult><IsTruncated>false</IsTruncated>",
            b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
            b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>&evil;</Key></Contents></ListBucketResult>",
        ];
        for text in cases {
            let read = Listing::parse(text);
            assert!(read.is_err(), "{} was read as {read:?}", String::from_utf8_lossy(text));
        }
        Listing::parse(b"\xff").unwrap_err();
    }
}
