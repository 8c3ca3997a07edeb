//! Downloads, each of them once.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::Client;
use url::Url;

use super::attempt::Attempt;
use super::client::client;
use super::download_error::DownloadError;
use super::part::Part;
use super::progress::{Progress, ProgressEvent};
use super::public_only::check as check_public;
use super::request::{Download, Downloaded};
use super::retry::Retry;
use crate::Sha256Digest;
use crate::file_lock::{FileLock, blocking};
use crate::shown_url::ShownUrl;

/// How patient downloads are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloaderOptions {
    /// How long a connection may take to come about. Default: 10 s.
    pub connect_timeout: Duration,
    /// How long a server may send nothing. Default: 30 s.
    pub stall_timeout: Duration,
    /// After this long, fewer than `slow_bytes` bytes are too few. Default: 60 s.
    pub slow_after: Duration,
    /// See `slow_after`. Default: 64 KiB.
    pub slow_bytes: u64,
    /// How many tries in a row may bring nothing. Default: 5.
    pub tries: u32,
    /// The pause before the second try; later ones double up to 30 s. Default: 500 ms.
    pub first_pause: Duration,
}

impl Default for DownloaderOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            slow_after: Duration::from_secs(60),
            slow_bytes: 64 << 10,
            tries: 5,
            first_pause: Duration::from_millis(500),
        }
    }
}

/// Downloads files. Clones share their connections.
///
/// HTTPS by rustls with what the system trusts; proxies as the environment says; at most ten
/// redirects, none of which leaves HTTPS.
#[derive(Debug, Clone)]
pub struct Downloader {
    /// Made when it is first used: reading what the system trusts takes longer than a hit in a cache.
    client: Arc<OnceLock<Client>>,
    public_client: Arc<OnceLock<Client>>,
    reach: Reach,
    pub(super) options: Arc<DownloaderOptions>,
}

/// Where downloads may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Anywhere,
    /// Over HTTPS from addresses of the public network.
    PublicOnly,
}

impl Downloader {
    /// Makes a downloader. Nothing is connected to before the first download.
    #[must_use]
    pub fn new(options: DownloaderOptions) -> Self {
        Self {
            client: Arc::default(),
            public_client: Arc::default(),
            reach: Reach::Anywhere,
            options: Arc::new(options),
        }
    }

    /// The same for addresses that somebody of the public network has named: it refuses what is not https or not at
    /// public addresses, wherever redirects lead, and uses no proxy.
    #[must_use]
    pub fn public_only(&self) -> Self {
        Self { reach: Reach::PublicOnly, ..self.clone() }
    }

    /// Refuses what this downloader may not reach, as far as the address tells.
    fn check_reach(&self, url: &Url) -> Result<(), DownloadError> {
        match self.reach {
            Reach::Anywhere => Ok(()),
            Reach::PublicOnly => {
                check_public(url).map_err(|source| DownloadError::not_public(url, source))
            }
        }
    }

    /// The client, with the system's settings as they were at its first use.
    pub(super) fn client(&self) -> Result<&Client, DownloadError> {
        let cell = match self.reach {
            Reach::Anywhere => &self.client,
            Reach::PublicOnly => &self.public_client,
        };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let made = client(&self.options, self.reach)?;
        Ok(cell.get_or_init(|| made))
    }

    /// Downloads a file to its target, which appears whole or not at all.
    ///
    /// The bytes are hashed while they come. What may pass is tried again, from where it stopped when
    /// the server allows that. Any number of callers, also in other processes, that want the same
    /// target at once cause one download: the others wait, then look at the result themselves. A
    /// target that is there and hashes to what was asked for is not downloaded again.
    ///
    /// Dropping the future leaves an unfinished file beside the target, `~NAME.part`, which the next
    /// download goes on with; a content that turns out wrong leaves nothing.
    ///
    /// # Errors
    /// `DOWNLOAD_FAILED`.
    pub async fn download(
        &self,
        request: &Download,
        progress: &dyn Progress,
    ) -> Result<Downloaded, DownloadError> {
        self.check_reach(&request.url)?;
        let before = identity(&request.target);
        let lock_path = request.beside(".lock");
        let waiting = || progress.report(&ProgressEvent::Waiting { what: &request.name });
        let lock = FileLock::exclusive(&lock_path, waiting).await;
        let lock = Arc::new(lock.map_err(io(request, "lock"))?);
        let done = match already_there(request, before).await? {
            Some(there) => Ok(there),
            None => self.fetch(request, &lock, progress).await,
        };
        if done.is_ok()
            && let Some(lock) = Arc::into_inner(lock)
        {
            // What is left otherwise is an empty file.
            let _ = lock.remove();
        }
        if let Ok(done) = &done {
            progress.report(&ProgressEvent::Finished { what: &request.name, size: done.size });
        }
        done
    }

    async fn fetch(
        &self,
        request: &Download,
        lock: &Arc<FileLock>,
        progress: &dyn Progress,
    ) -> Result<Downloaded, DownloadError> {
        let attempt =
            Attempt { client: self.client()?, options: &self.options, request, lock, progress };
        let mut part = with_lock(request, lock, Part::open).await?;
        let mut retry = Retry::new(self.options.tries, self.options.first_pause);
        loop {
            let (back, made) = attempt.make(part).await;
            part = back;
            let error = match made.and_then(|()| check(request, &part)) {
                Ok(()) => break,
                Err(error) => error,
            };
            if error.is_about_content() {
                if !part.is_pieced() {
                    with_lock(request, lock, |request| {
                        part.remove(request).map_err(io(request, "remove"))
                    })
                    .await?;
                    return Err(error);
                }
                // Pieces of different files, perhaps: once more from the start.
                part = with_lock(request, lock, |request| {
                    part.restart().map_err(io(request, "empty"))?;
                    Ok(part)
                })
                .await?;
                continue;
            }
            let Some(pause) = retry.after(&error, part.len()) else { return Err(error) };
            let problem = error.in_a_line();
            let event =
                ProgressEvent::Retrying { what: &request.name, problem: &problem, after: pause };
            progress.report(&event);
            tracing::debug!(problem, ?pause, "a download is tried again");
            tokio::time::sleep(pause).await;
        }
        let done = Downloaded { sha256: part.sha256(), size: part.len(), was_there: false };
        with_lock(request, lock, |request| part.publish(request).map_err(io(request, "finish")))
            .await?;
        Ok(done)
    }
}

/// Runs what blocks, with the lock held until it is done even when nobody waits for it any more.
async fn with_lock<T: Send + 'static>(
    request: &Download,
    lock: &Arc<FileLock>,
    work: impl FnOnce(&Download) -> Result<T, DownloadError> + Send + 'static,
) -> Result<T, DownloadError> {
    let (lock, request) = (Arc::clone(lock), request.clone());
    blocking(move || {
        let _lock = lock;
        work(&request)
    })
    .await
}

fn check(request: &Download, part: &Part) -> Result<(), DownloadError> {
    let url = || ShownUrl(&request.url).to_string();
    if let Some(expected) = request.size
        && part.len() != expected
    {
        return Err(DownloadError::WrongSize { url: url(), expected, found: part.len() });
    }
    match request.sha256 {
        Some(expected) if part.sha256() != expected => {
            Err(DownloadError::WrongHash { url: url(), expected, found: part.sha256() })
        }
        _ => Ok(()),
    }
}

/// The target, when it is what was asked for: by its hash, or because it came while we waited.
async fn already_there(
    request: &Download,
    before: Option<Identity>,
) -> Result<Option<Downloaded>, DownloadError> {
    let now = identity(&request.target);
    let Some(now) = now.filter(|_| request.sha256.is_some() || now != before) else {
        return Ok(None);
    };
    let target = request.target.clone();
    let hashed = blocking(move || Sha256Digest::of_file(&target)).await;
    let Ok(sha256) = hashed else { return Ok(None) };
    let fits = request.sha256.is_none_or(|expected| expected == sha256)
        && request.size.is_none_or(|expected| expected == now.size);
    Ok(fits.then_some(Downloaded { sha256, size: now.size, was_there: true }))
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs_err::symlink_metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    let changed = (metadata.ctime(), metadata.ctime_nsec());
    Some(Identity { inode: metadata.ino(), size: metadata.len(), changed })
}

fn io(
    request: &Download,
    action: &'static str,
) -> impl FnOnce(std::io::Error) -> DownloadError + use<> {
    let path = request.target.clone();
    move |source| DownloadError::Io { action, path, source }
}
