//! Base images, from where they are to where they can be booted from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::arch::Arch;
use super::base_image_error::{BaseImageError, BundleDamage};
use super::bucket::BucketUrl;
use super::bundle::{BaseImageBundle, now};
use super::cache::{Cache, Leftovers, Removal};
use super::cache_limit::CacheLimit;
use super::lease::{BundleLease, fetch_lock};
use super::manifest_location::ManifestLocation;
use super::names::BundleId;
use super::prepare::Prepare;
use super::preset::Preset;
use super::resolve_hosted::resolve_hosted;
use super::resolve_preset::Ci;
use super::resolved::ResolvedBundle;
use super::verified::Verify;
use crate::download::{Downloader, Progress, ProgressEvent};
use crate::file_lock::{FileLock, blocking};
use crate::release::{ReleaseSource, ReleaseVersion};
use crate::signature::{SignatureError, VerifyingKey};

/// How base images are kept, and where they come from when a request does not say.
#[derive(Debug, Clone)]
pub struct BaseImageManagerOptions {
    /// Where bundles are kept; made for its owner alone (0700) when it is not there.
    pub cache_dir: PathBuf,
    /// How many are kept. Default: 2.
    pub max_stored: CacheLimit,
    /// The processor. Default: this host's.
    pub arch: Arch,
    /// The manifest that wins over any preset.
    pub manifest: Option<ManifestLocation>,
    /// The Firecracker that `latest` is for. Default: the latest release, which is asked for.
    pub firecracker_version: Option<ReleaseVersion>,
    /// Where Firecracker's CI publishes.
    pub bucket: BucketUrl,
    /// Where the latest release is asked for.
    pub releases: ReleaseSource,
    /// The file of the public key that manifests must be signed by. Default: none, and none need be.
    pub verify_key: Option<PathBuf>,
    /// Whether bundles in the cache are hashed at every use. Default: only when a file has changed.
    pub verify: Verify,
    /// Whether a manifest from a public server may name artifacts that are not https or not at public addresses: it
    /// makes this host ask for them. Default: no.
    pub allow_private_artifacts: bool,
}

impl BaseImageManagerOptions {
    /// The defaults, with bundles in `cache_dir`.
    #[must_use]
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            max_stored: CacheLimit::default(),
            arch: Arch::HOST,
            manifest: None,
            firecracker_version: None,
            bucket: BucketUrl::default(),
            releases: ReleaseSource::default(),
            verify_key: None,
            verify: Verify::default(),
            allow_private_artifacts: false,
        }
    }
}

/// Which base image is wanted.
#[derive(Debug, Clone, Default)]
pub struct EnsureBaseImage {
    /// The preset, when no manifest is named. Default: `latest`.
    pub preset: Preset,
    /// The processor. Default: the manager's.
    pub arch: Option<Arch>,
    /// The manifest. Default: the manager's.
    pub manifest: Option<ManifestLocation>,
    /// Whether what is in the cache is fetched again.
    pub force_download: bool,
    /// Whether what is in the cache is hashed although nothing has changed. Default: the manager's.
    pub verify: Option<Verify>,
    /// Whether a file without published checksum may be another than when it was first seen.
    pub accept_changed: bool,
}

/// A base image that can be booted from. While this lives, it is not removed from the cache.
#[derive(Debug)]
pub struct BaseImage {
    /// What is known of it.
    pub bundle: BaseImageBundle,
    /// Whether it was in the cache.
    pub was_cached: bool,
    /// Bundles that had to leave the cache for it.
    pub evicted: Vec<BundleId>,
    lease: BundleLease,
}

impl BaseImage {
    /// What keeps it from being removed.
    #[must_use]
    pub fn lease(&self) -> &BundleLease {
        &self.lease
    }
}

/// Fetches base images and keeps some of them. Several managers, in one process or more, may share a
/// cache.
#[derive(Debug, Clone)]
pub struct BaseImageManager {
    options: Arc<BaseImageManagerOptions>,
    downloader: Downloader,
    cache: Cache,
}

impl BaseImageManager {
    /// Opens the cache, making its directory when it is not there. Connects to nothing.
    ///
    /// # Errors
    /// `UNSAFE_DIRECTORY` when others may write to the cache: what is in it will be booted.
    pub fn new(
        options: BaseImageManagerOptions,
        downloader: Downloader,
    ) -> Result<Self, BaseImageError> {
        let cache = Cache::open(&options.cache_dir)?;
        Ok(Self { options: Arc::new(options), downloader, cache })
    }

    /// Where bundles are kept, absolute.
    #[must_use]
    pub fn cache_dir(&self) -> &Path {
        self.cache.dir()
    }

    /// How many are kept.
    #[must_use]
    pub fn max_stored(&self) -> CacheLimit {
        self.options.max_stored
    }

    /// Makes sure that a base image is in the cache, and right.
    ///
    /// One that is there is used when its files are what was recorded: by hash when one has changed
    /// since it was last found right, at a look otherwise. What is damaged, or other than its manifest
    /// now says, is fetched again. Afterwards the cache keeps the `max_stored` last used bundles, this
    /// one among them, and those in use.
    ///
    /// Any number of callers, also in other processes, that want the same bundle at once cause one
    /// download. Dropping the future leaves what has come for the next call to go on with.
    ///
    /// # Errors
    /// `BASE_IMAGE_MANIFEST_FAILED`, `INVALID_BASE_IMAGE_MANIFEST`, `VERSION_FETCH_FAILED`,
    /// `BASE_IMAGE_RESOLVE_FAILED`, `BASE_IMAGE_PREPARE_FAILED`.
    pub async fn ensure(
        &self,
        request: &EnsureBaseImage,
        progress: &dyn Progress,
    ) -> Result<BaseImage, BaseImageError> {
        let resolved = Arc::new(self.resolve(request).await?);
        let verify = request.verify.unwrap_or(self.options.verify);
        let id = &resolved.bundle_id;
        let lease = self.lease(id).await?;
        if !request.force_download
            && let Some(bundle) = self.hit(&resolved, verify).await
        {
            return self.done(bundle, true, lease).await;
        }
        let lock_path = fetch_lock(self.cache.dir(), id);
        let waiting = || progress.report(&ProgressEvent::Waiting { what: id.as_str() });
        let lock = FileLock::exclusive(&lock_path, waiting).await;
        let lock = Arc::new(lock.map_err(|source| io_error("lock", &lock_path, source))?);
        // Somebody else may have fetched it meanwhile.
        let hit = if request.force_download { None } else { self.hit(&resolved, verify).await };
        let was_cached = hit.is_some();
        let bundle = match hit {
            Some(bundle) => bundle,
            None => {
                let prepare = Prepare {
                    cache: &self.cache,
                    resolved: &resolved,
                    downloader: &self.downloader,
                    progress,
                    lock: Arc::clone(&lock),
                    accept_changed: request.accept_changed,
                };
                let failed = |source| {
                    let source = Box::new(source);
                    BaseImageError::Prepare { bundle_id: id.clone(), source }
                };
                prepare.perform().await.map_err(failed)?
            }
        };
        if let Some(lock) = Arc::into_inner(lock) {
            // What is left otherwise is an empty file.
            let _ = lock.remove();
        }
        self.done(bundle, was_cached, lease).await
    }

    /// A bundle that is in the cache, by its id. Nothing is fetched.
    ///
    /// # Errors
    /// `BASE_IMAGE_NOT_FOUND`; `BASE_IMAGE_DAMAGED` when it is not what was recorded.
    pub async fn cached(&self, id: &BundleId) -> Result<BaseImage, BaseImageError> {
        if self.options.verify_key.is_some() {
            // Only a manifest is signed, and what is in the cache has none.
            return Err(BaseImageError::Signature(SignatureError::Unsigned));
        }
        let lease = self.lease(id).await?;
        let (this, wanted, verify) = (self.clone(), id.clone(), self.options.verify);
        let bundle = blocking(move || {
            let mut bundle = this.get(&wanted)?;
            this.cache
                .check(&bundle, verify)
                .map_err(|source| BaseImageError::Damaged { bundle_id: wanted, source })?;
            bundle.last_accessed_at = now();
            this.note_use(&bundle);
            Ok::<_, BaseImageError>(bundle)
        })
        .await?;
        Ok(BaseImage { bundle, was_cached: true, evicted: Vec::new(), lease })
    }

    /// The bundles in the cache, the last used first. Their files are not looked at. Blocks.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn list(&self) -> Result<Vec<BaseImageBundle>, BaseImageError> {
        self.cache.list().map_err(|source| io_error("read", self.cache.dir(), source))
    }

    /// What is known of a bundle in the cache. Its files are not looked at. Blocks.
    ///
    /// # Errors
    /// `BASE_IMAGE_NOT_FOUND`, which names those that are; `BASE_IMAGE_DAMAGED` when its description
    /// makes no sense.
    pub fn get(&self, id: &BundleId) -> Result<BaseImageBundle, BaseImageError> {
        let damaged = |source| BaseImageError::Damaged { bundle_id: id.clone(), source };
        match self.cache.load(id).map_err(damaged)? {
            Some(bundle) => Ok(bundle),
            None => Err(self.not_found(id)?),
        }
    }

    /// Hashes all files of a bundle in the cache. Blocks.
    ///
    /// # Errors
    /// As [`get`](Self::get), and `BASE_IMAGE_DAMAGED` when a file is not what was recorded.
    pub fn verify(&self, id: &BundleId) -> Result<BaseImageBundle, BaseImageError> {
        let damaged =
            |source: BundleDamage| BaseImageError::Damaged { bundle_id: id.clone(), source };
        let bundle = self.get(id)?;
        self.cache.check(&bundle, Verify::Always).map_err(damaged)?;
        Ok(bundle)
    }

    /// Removes the bundles beyond `max_stored`, the longest unused first, and what interrupted downloads
    /// left; neither `keep` nor a bundle in use. Names what was removed. Blocks.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn prune(&self, keep: Option<&BundleId>) -> Result<Vec<BundleId>, BaseImageError> {
        let fail = |source| io_error("prune", self.cache.dir(), source);
        self.cache.sweep(Leftovers::All).map_err(fail)?;
        self.cache.evict(self.options.max_stored.get(), keep).map_err(fail)
    }

    /// Removes a bundle from the cache, damaged or not. Blocks.
    ///
    /// # Errors
    /// `BASE_IMAGE_NOT_FOUND`; `BASE_IMAGE_IN_USE` while a VM runs it.
    pub fn delete(&self, id: &BundleId) -> Result<(), BaseImageError> {
        let dir = self.cache.bundle_dir(id);
        match self.cache.remove(id).map_err(|source| io_error("remove", &dir, source))? {
            Removal::Removed => Ok(()),
            Removal::InUse => Err(BaseImageError::InUse { bundle_id: id.clone() }),
            Removal::NotThere => Err(self.not_found(id)?),
        }
    }

    async fn resolve(&self, request: &EnsureBaseImage) -> Result<ResolvedBundle, BaseImageError> {
        let options = &*self.options;
        let arch = request.arch.unwrap_or(options.arch);
        let signer = self.signer().await?;
        if let Some(location) = request.manifest.as_ref().or(options.manifest.as_ref()) {
            let (allow_private, signer) = (options.allow_private_artifacts, signer.as_ref());
            return resolve_hosted(location, arch, &self.downloader, allow_private, signer).await;
        }
        if signer.is_some() {
            return Err(BaseImageError::Signature(SignatureError::Unsigned));
        }
        let ci = Ci {
            bucket: &options.bucket,
            releases: &options.releases,
            downloader: &self.downloader,
            arch,
        };
        match request.preset {
            Preset::Latest => ci.latest(options.firecracker_version).await,
            Preset::Lts => ci.lts().await,
            Preset::Hosted => Err(BaseImageError::NoManifest),
        }
    }

    /// The key that manifests must be signed by.
    async fn signer(&self) -> Result<Option<VerifyingKey>, BaseImageError> {
        let Some(path) = self.options.verify_key.clone() else { return Ok(None) };
        Ok(Some(blocking(move || VerifyingKey::read(&path)).await?))
    }

    async fn lease(&self, id: &BundleId) -> Result<BundleLease, BaseImageError> {
        let (dir, wanted) = (self.cache.dir().to_owned(), id.clone());
        let lease = blocking(move || BundleLease::take(&dir, &wanted)).await;
        lease.map_err(|source| io_error("lock a bundle of", self.cache.dir(), source))
    }

    /// The bundle, if it is in the cache and what is wanted.
    async fn hit(&self, resolved: &Arc<ResolvedBundle>, verify: Verify) -> Option<BaseImageBundle> {
        let (this, resolved) = (self.clone(), Arc::clone(resolved));
        blocking(move || {
            let id = &resolved.bundle_id;
            let found = this.cache.load(id).and_then(|bundle| {
                let Some(bundle) = bundle else { return Ok(None) };
                let Some(bundle) = resolved.refresh(bundle) else {
                    tracing::info!(bundle = %id, "the base image has changed at its source");
                    return Ok(None);
                };
                this.cache.check(&bundle, verify).map(|()| Some(bundle))
            });
            match found {
                Ok(bundle) => {
                    bundle.inspect(|bundle| this.note_use(bundle))
                }
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(bundle = %id, %error, cause, "fetching a damaged base image again");
                    None
                }
            }
        })
        .await
    }

    fn note_use(&self, bundle: &BaseImageBundle) {
        if let Err(error) = self.cache.record(bundle) {
            tracing::warn!(%error, "cannot take note of the use of a base image");
        }
    }

    async fn done(
        &self,
        bundle: BaseImageBundle,
        was_cached: bool,
        lease: BundleLease,
    ) -> Result<BaseImage, BaseImageError> {
        let (cache, keep) = (self.cache.clone(), bundle.bundle_id.clone());
        let limit = self.options.max_stored.get();
        let evicted = blocking(move || {
            cache.sweep(Leftovers::Stale)?;
            cache.evict(limit, Some(&keep))
        });
        let evicted =
            evicted.await.map_err(|source| io_error("prune", self.cache.dir(), source))?;
        Ok(BaseImage { bundle, was_cached, evicted, lease })
    }

    fn not_found(&self, id: &BundleId) -> Result<BaseImageError, BaseImageError> {
        let cached = self.cache.ids();
        let cached = cached.map_err(|source| io_error("read", self.cache.dir(), source))?;
        Ok(BaseImageError::NotFound { bundle_id: id.clone(), cached })
    }
}

fn io_error(action: &'static str, path: &Path, source: std::io::Error) -> BaseImageError {
    BaseImageError::Io { action, path: path.to_owned(), source }
}
