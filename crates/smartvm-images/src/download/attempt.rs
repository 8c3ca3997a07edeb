//! One request for a file, or for the rest of it.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue, IF_RANGE, RANGE};
use reqwest::{Client, Response, Version};

use super::download_error::DownloadError;
use super::downloader::DownloaderOptions;
use super::part::Part;
use super::progress::{Progress, ProgressEvent};
use super::public_only::NotPublic;
use super::request::Download;
use super::response::{self, Meaning, meaning};
use super::sink::Sink;
use crate::file_lock::{FileLock, blocking};
use crate::shown_url::ShownUrl;

/// What every attempt at a file needs.
pub(super) struct Attempt<'a> {
    pub(super) client: &'a Client,
    pub(super) options: &'a DownloaderOptions,
    pub(super) request: &'a Download,
    pub(super) lock: &'a Arc<FileLock>,
    pub(super) progress: &'a dyn Progress,
}

impl Attempt<'_> {
    /// Asks for what is missing and adds what comes. The part is given back however it ends.
    pub(super) async fn make(&self, part: Part) -> (Part, Result<(), DownloadError>) {
        let asked = part.len();
        let mut response = match self.send(&part).await {
            Ok(response) => response,
            Err(error) => return (part, Err(error)),
        };
        let headers = response.headers().clone();
        let total = match meaning(response.status(), &headers, asked) {
            Meaning::Nothing => return (part, Ok(())),
            Meaning::Rest { total } => Body::Rest(total),
            Meaning::Whole { total } => Body::Whole(total),
            Meaning::Refused(status) => {
                let retry_after = response::retry_after(&headers);
                let error = DownloadError::Status { url: self.url(), status, retry_after };
                return (part, Err(error));
            }
            Meaning::Bad(problem) => {
                return (part, Err(DownloadError::BadAnswer { url: self.url(), problem }));
            }
            Meaning::Restart => {
                let (part, restarted) = self.on_part(part, |part, _| part.restart()).await;
                let found = part.len();
                let again = DownloadError::Short { url: self.url(), found, expected: None };
                return (part, restarted.and(Err(again)));
            }
        };
        if let Err(error) = self.check_end(&response, &headers) {
            return (part, Err(error));
        }
        let (part, prepared) = self.prepare(part, &total, response::validator(&headers)).await;
        if let Err(error) = prepared {
            return (part, Err(error));
        }
        self.receive(&mut response, part, total.expected()).await
    }

    async fn send(&self, part: &Part) -> Result<Response, DownloadError> {
        let mut request = self
            .client
            .get(self.request.url.clone())
            .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if part.len() > 0 {
            request = request.header(RANGE, format!("bytes={}-", part.len()));
            if let Some(validator) = part.validator() {
                request = request.header(IF_RANGE, validator);
            }
        }
        request.send().await.map_err(|error| self.transport(error))
    }

    /// Without a length, a size or a hash, a file that was cut off would be taken for whole.
    fn check_end(&self, response: &Response, headers: &HeaderMap) -> Result<(), DownloadError> {
        let is_http1 = response.version() <= Version::HTTP_11;
        let known = self.request.sha256.is_some() || self.request.size.is_some();
        if known || response::has_an_end(headers, is_http1) {
            return Ok(());
        }
        let problem = "it says no length, so that its end could not be told".to_owned();
        Err(DownloadError::BadAnswer { url: self.url(), problem })
    }

    /// What can be refused before the first byte is, and the part is made ready.
    async fn prepare(
        &self,
        part: Part,
        body: &Body,
        validator: Option<String>,
    ) -> (Part, Result<(), DownloadError>) {
        if let Some(total) = body.expected()
            && let Err(error) = self.check_size(total)
        {
            return (part, Err(error));
        }
        let is_rest = matches!(body, Body::Rest(_));
        let (part, ready) = self
            .on_part(part, move |part, request| {
                if is_rest {
                    part.go_on();
                    return Ok(());
                }
                part.begin(request, validator)
            })
            .await;
        if let Err(error) = ready {
            return (part, Err(error));
        }
        let Some(total) = body.expected() else { return (part, Ok(())) };
        let needed = total.saturating_sub(part.len());
        match part.free_bytes() {
            Ok(available) if available < needed => {
                let path = self.request.beside(".part");
                (part, Err(DownloadError::NoSpace { path, needed, available }))
            }
            // A file system that does not tell will say so when it is full.
            _ => (part, Ok(())),
        }
    }

    async fn receive(
        &self,
        response: &mut Response,
        part: Part,
        total: Option<u64>,
    ) -> (Part, Result<(), DownloadError>) {
        let what = &*self.request.name;
        let mut done = part.len();
        self.progress.report(&ProgressEvent::Started { what, done, total });
        let sink = Sink::new(part, Arc::clone(self.lock));
        let mut pace = Pace::new(self.options);
        let ended = loop {
            let bytes = match response.chunk().await {
                Ok(Some(bytes)) => bytes,
                Ok(None) => break Ok(()),
                Err(error) => break Err(self.transport(error)),
            };
            done += bytes.len() as u64;
            if let Err(error) = self.check_size_so_far(done) {
                break Err(error);
            }
            let count = bytes.len() as u64;
            if !sink.write(bytes).await {
                break Ok(());
            }
            self.progress.report(&ProgressEvent::Advanced { what, done });
            if let Some((bytes, seconds)) = pace.too_slow(count) {
                break Err(DownloadError::TooSlow { url: self.url(), bytes, seconds });
            }
        };
        let (part, written) = sink.finish().await;
        if let Err(source) = written {
            return (part, Err(self.io("write", source)));
        }
        let short = total.is_some_and(|total| part.len() < total);
        let short = short.then(|| DownloadError::Short {
            url: self.url(),
            found: part.len(),
            expected: total,
        });
        (part, ended.and(short.map_or(Ok(()), Err)))
    }

    fn check_size(&self, total: u64) -> Result<(), DownloadError> {
        if total > self.request.limit {
            return Err(DownloadError::TooLarge { url: self.url(), limit: self.request.limit });
        }
        match self.request.size {
            Some(expected) if expected != total => {
                Err(DownloadError::WrongSize { url: self.url(), expected, found: total })
            }
            _ => Ok(()),
        }
    }

    fn check_size_so_far(&self, done: u64) -> Result<(), DownloadError> {
        if done > self.request.limit {
            return Err(DownloadError::TooLarge { url: self.url(), limit: self.request.limit });
        }
        match self.request.size {
            Some(expected) if done > expected => {
                Err(DownloadError::WrongSize { url: self.url(), expected, found: done })
            }
            _ => Ok(()),
        }
    }

    /// Runs what blocks on the part, with the lock held until it is done.
    async fn on_part(
        &self,
        mut part: Part,
        work: impl FnOnce(&mut Part, &Download) -> io::Result<()> + Send + 'static,
    ) -> (Part, Result<(), DownloadError>) {
        let (lock, request) = (Arc::clone(self.lock), self.request.clone());
        let (part, done) = blocking(move || {
            let _lock = lock;
            let done = work(&mut part, &request);
            (part, done)
        })
        .await;
        (part, done.map_err(|source| self.io("write", source)))
    }

    fn transport(&self, source: reqwest::Error) -> DownloadError {
        if let Some(not_public) = NotPublic::in_sources_of(&source) {
            return DownloadError::not_public(&self.request.url, not_public.clone());
        }
        DownloadError::Transport { url: self.url(), source: source.without_url() }
    }

    fn io(&self, action: &'static str, source: io::Error) -> DownloadError {
        DownloadError::Io { action, path: self.request.beside(".part"), source }
    }

    fn url(&self) -> String {
        ShownUrl(&self.request.url).to_string()
    }
}

enum Body {
    Whole(Option<u64>),
    Rest(Option<u64>),
}

impl Body {
    fn expected(&self) -> Option<u64> {
        match self {
            Self::Whole(total) | Self::Rest(total) => *total,
        }
    }
}

/// Notices a server that keeps a transfer alive with next to nothing.
struct Pace<'a> {
    options: &'a DownloaderOptions,
    since: Instant,
    bytes: u64,
}

impl<'a> Pace<'a> {
    fn new(options: &'a DownloaderOptions) -> Self {
        Self { options, since: Instant::now(), bytes: 0 }
    }

    /// Counts bytes; what came in how many seconds, when that was too little.
    fn too_slow(&mut self, bytes: u64) -> Option<(u64, u64)> {
        self.bytes += bytes;
        let elapsed = self.since.elapsed();
        if elapsed < self.options.slow_after {
            return None;
        }
        let too_slow = self.bytes < self.options.slow_bytes;
        let found = (self.bytes, elapsed.as_secs());
        (self.since, self.bytes) = (Instant::now(), 0);
        too_slow.then_some(found)
    }
}
