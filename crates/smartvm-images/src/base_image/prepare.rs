//! Making a bundle: its files are fetched into a draft, which then gets the bundle's name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use url::Url;

use super::base_image_error::PrepareError;
use super::bundle::BaseImageBundle;
use super::cache::Cache;
use super::copy::copy;
use super::first_seen::{ChangedSinceFirstSeen, FirstSeen};
use super::resolved::{FetchedFile, FetchedFiles, Origin, ResolvedBundle, ResolvedFile};
use super::verified::Verified;
use crate::download::{Download, DownloadError, Downloader, Progress};
use crate::file_lock::{FileLock, blocking};
use crate::shown_url::ShownUrl;

/// The most bytes that an artifact of unknown size may have.
const MAX_ARTIFACT: u64 = 64 << 30;

/// What preparing a bundle needs. The lock on the bundle's fetching is held until all is done, also
/// when nobody waits for it any more.
pub(super) struct Prepare<'a> {
    pub(super) cache: &'a Cache,
    pub(super) resolved: &'a ResolvedBundle,
    pub(super) downloader: &'a Downloader,
    pub(super) progress: &'a dyn Progress,
    pub(super) lock: Arc<FileLock>,
    /// Whether a file without checksum may be another than it was.
    pub(super) accept_changed: bool,
}

impl Prepare<'_> {
    /// Fetches the bundle's files, each into the draft, and publishes it. A failure removes the draft,
    /// unless the next try can go on with what has come.
    pub(super) async fn perform(self) -> Result<BaseImageBundle, PrepareError> {
        let draft = self.cache.draft_dir(&self.resolved.bundle_id);
        let prepared = self.fill(&draft).await;
        if let Err(error) = &prepared
            && !error.leaves_a_part()
        {
            let lock = Arc::clone(&self.lock);
            let removed = blocking(move || {
                let _lock = lock;
                crate::release::remove_tree(&draft)
            });
            if let Err(error) = removed.await {
                tracing::warn!(%error, "cannot remove an unfinished base image");
            }
        }
        prepared
    }

    async fn fill(&self, draft: &Path) -> Result<BaseImageBundle, PrepareError> {
        let wanted: Vec<_> = self.resolved.files().map(|file| file.name.to_string()).collect();
        let dir = draft.to_owned();
        self.block(move || begin(&dir, &wanted)).await?;
        let kernel = self.fetch(&self.resolved.kernel, draft).await?;
        let initrd = match &self.resolved.initrd {
            Some(initrd) => Some(self.fetch(initrd, draft).await?),
            None => None,
        };
        let rootfs = self.fetch(&self.resolved.rootfs, draft).await?;
        let files = FetchedFiles { kernel, initrd, rootfs };
        let dir = self.cache.bundle_dir(&self.resolved.bundle_id);
        let bundle = self.resolved.describe(&dir, &files);
        let (cache, draft) = (self.cache.clone(), draft.to_owned());
        self.block(move || {
            let mut verified = Verified::default();
            verified.note_new(&draft, &bundle.files().unwrap_or_default())?;
            let fail = |action| {
                let path = draft.clone();
                move |source| PrepareError::Io { action, path, source }
            };
            verified.write(&draft).map_err(fail("write to"))?;
            cache.publish(&draft, &bundle).map_err(fail("publish"))?;
            Ok(bundle)
        })
        .await
    }

    async fn fetch(&self, file: &ResolvedFile, draft: &Path) -> Result<FetchedFile, PrepareError> {
        let target = draft.join(file.name.as_str());
        match &file.origin {
            Origin::Hosted(url) => Ok(self.download(self.downloader, url, file, &target).await?),
            Origin::Public(url) => {
                Ok(self.download(&self.downloader.public_only(), url, file, &target).await?)
            }
            Origin::Unsigned(url) => self.fetch_unsigned(url, file, &target).await,
            Origin::File(source) => {
                let (source, file) = (source.clone(), file.clone());
                self.block(move || copy(&source, &target, &file)).await
            }
        }
    }

    /// What has no checksum must be what it was when it was first seen.
    async fn fetch_unsigned(
        &self,
        url: &Url,
        file: &ResolvedFile,
        target: &Path,
    ) -> Result<FetchedFile, PrepareError> {
        let record = FirstSeen::of(self.cache.dir());
        let fail = |source| {
            let path = self.cache.dir().to_owned();
            PrepareError::Io { action: "use the record of first sights in", path, source }
        };
        let seen = record.expected(url).map_err(fail)?;
        let expected = seen.as_ref().map(|(sha256, _)| *sha256).filter(|_| !self.accept_changed);
        let file = ResolvedFile { sha256: expected, ..file.clone() };
        match (self.download(self.downloader, url, &file, target).await, seen) {
            (Ok(fetched), seen) => {
                if seen.is_none_or(|(sha256, _)| sha256 != fetched.sha256) {
                    record.note(url, fetched.sha256).await.map_err(fail)?;
                }
                Ok(fetched)
            }
            (Err(DownloadError::WrongHash { expected, found, .. }), Some((_, first_seen_at))) => {
                let url = ShownUrl(url).to_string();
                Err(ChangedSinceFirstSeen { url, expected, found, first_seen_at }.into())
            }
            (Err(error), _) => Err(error.into()),
        }
    }

    async fn download(
        &self,
        downloader: &Downloader,
        url: &Url,
        file: &ResolvedFile,
        target: &Path,
    ) -> Result<FetchedFile, DownloadError> {
        let limit = file.size.unwrap_or(MAX_ARTIFACT);
        let request =
            Download::new(url.clone(), target, limit).with_sha256(file.sha256).with_size(file.size);
        let done = downloader.download(&request, self.progress).await?;
        Ok(FetchedFile { sha256: done.sha256, size: done.size })
    }

    async fn block<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PrepareError> + Send + 'static,
    ) -> Result<T, PrepareError> {
        let lock = Arc::clone(&self.lock);
        blocking(move || {
            let _lock = lock;
            work()
        })
        .await
    }
}

/// Makes the draft, and removes from an earlier one what is of no use.
fn begin(draft: &Path, wanted: &[String]) -> Result<(), PrepareError> {
    let fail = |action, path: &Path| {
        let path = path.to_owned();
        move |source| PrepareError::Io { action, path, source }
    };
    let mut builder = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(draft).map_err(fail("make", draft))?;
    for entry in fs_err::read_dir(draft).map_err(fail("read", draft))? {
        let path: PathBuf = entry.map_err(fail("read", draft))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_wanted = wanted.iter().any(|wanted| {
            let rest = name.strip_prefix('~').and_then(|rest| rest.strip_prefix(wanted.as_str()));
            *name == **wanted || rest.is_some_and(|rest| rest.starts_with('.'))
        });
        if !is_wanted {
            let is_dir = fs_err::symlink_metadata(&path).is_ok_and(|m| m.is_dir());
            let removed =
                if is_dir { fs_err::remove_dir_all(&path) } else { fs_err::remove_file(&path) };
            removed.map_err(fail("remove", &path))?;
        }
    }
    Ok(())
}
