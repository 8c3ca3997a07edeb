//! A bucket, as S3 answers for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::answer::Answer;
use super::request::Request;
use super::server::HttpServer;

type Objects = BTreeMap<String, Arc<Vec<u8>>>;

/// Serves objects below `/bucket`, and their listing: ListObjectsV2 with prefix, delimiter and pages.
#[derive(Debug)]
pub struct FakeBucket {
    server: HttpServer,
    objects: Arc<Mutex<Objects>>,
}

impl FakeBucket {
    /// Starts an empty bucket whose listings have `page` entries a page.
    #[must_use]
    pub fn start(page: usize) -> Self {
        let objects: Arc<Mutex<Objects>> = Arc::default();
        let served = Arc::clone(&objects);
        let server = HttpServer::start(move |request| {
            let objects = served.lock().unwrap_or_else(PoisonError::into_inner);
            let path = request.decoded_path();
            let key = path.strip_prefix("/bucket/").unwrap_or_default();
            if key.is_empty() {
                return list(&objects, request, page);
            }
            objects.get(key).map_or_else(Answer::not_found, |content| {
                Answer::file(request, content, &format!("\"{}\"", content.len()))
            })
        });
        Self { server, objects }
    }

    /// Adds or replaces an object.
    pub fn put(&self, key: &str, content: impl Into<Vec<u8>>) {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.insert(key.to_owned(), Arc::new(content.into()));
    }

    /// Removes an object.
    pub fn remove(&self, key: &str) {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// The address of the bucket.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url("/bucket")
    }

    /// The server, to see what was asked for.
    #[must_use]
    pub fn server(&self) -> &HttpServer {
        &self.server
    }
}

fn list(objects: &Objects, request: &Request, page: usize) -> Answer {
    let prefix = request.parameter("prefix").unwrap_or_default();
    let delimiter = request.parameter("delimiter");
    let after = request.parameter("continuation-token").unwrap_or_default();
    let mut entries = BTreeSet::new();
    for key in objects.keys().filter(|key| key.starts_with(&prefix)) {
        let rest = &key[prefix.len()..];
        match delimiter.as_deref().and_then(|delimiter| rest.find(delimiter)) {
            Some(at) => entries.insert((format!("{prefix}{}", &rest[..=at]), true)),
            None => entries.insert((key.clone(), false)),
        };
    }
    // A token with characters that must be encoded, in XML and in a query.
    let token = |name: &str| format!("<&+={name}");
    let mut rest = entries.iter().filter(|(name, _)| after.is_empty() || token(name) > after);
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult \
         xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>bucket</Name>",
    );
    let mut last = String::new();
    for (name, is_prefix) in rest.by_ref().take(page) {
        let shown = escaped(name);
        xml.push_str(&if *is_prefix {
            format!("<CommonPrefixes><Prefix>{shown}</Prefix></CommonPrefixes>")
        } else {
            format!("<Contents><Key>{shown}</Key><Size>1</Size></Contents>")
        });
        last.clone_from(name);
    }
    let more = rest.next().is_some();
    if more {
        let token = escaped(&token(&last));
        xml.push_str(&format!("<NextContinuationToken>{token}</NextContinuationToken>"));
    }
    xml.push_str(&format!("<IsTruncated>{more}</IsTruncated></ListBucketResult>"));
    Answer::new(200, xml).with_header("content-type", "application/xml")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&#39;").replace('"', "&quot;")
}
