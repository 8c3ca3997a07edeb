//! Keeping a bundle from being removed while somebody uses it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::names::BundleId;
use crate::file_lock::FileLock;

/// Where the locks of a cache are. No bundle is called so: its name has a tilde.
pub(super) const LOCKS_DIR: &str = "~locks";

/// While it lives, its bundle is not removed from the cache, by this process or another. It goes with
/// the process that holds it, however that ends.
#[derive(Debug, Clone)]
pub struct BundleLease {
    bundle_id: BundleId,
    _lock: Arc<FileLock>,
}

impl BundleLease {
    /// Takes a lease on a bundle of the cache in `cache_dir`, whether it is there or not. Blocks for
    /// the moment in which it is being removed, if it is.
    ///
    /// # Errors
    /// When the lock cannot be made.
    pub fn take(cache_dir: &Path, bundle_id: &BundleId) -> io::Result<Self> {
        let lock = Arc::new(FileLock::shared(&use_lock(cache_dir, bundle_id))?);
        Ok(Self { bundle_id: bundle_id.clone(), _lock: lock })
    }

    /// Whether there is a cache in `cache_dir`, which one would have to keep from removing something.
    #[must_use]
    pub fn is_cache(cache_dir: &Path) -> bool {
        cache_dir.join(LOCKS_DIR).is_dir()
    }

    /// Takes leases on the bundles of the cache in `cache_dir` that have `files`. Other files are none
    /// of its concern.
    ///
    /// # Errors
    /// When a lock cannot be made.
    pub fn take_for<'a>(
        cache_dir: &Path,
        files: impl IntoIterator<Item = &'a Path>,
    ) -> io::Result<Vec<Self>> {
        let mut ids: Vec<_> =
            files.into_iter().filter_map(|file| bundle_of(cache_dir, file)).collect();
        ids.sort();
        ids.dedup();
        ids.iter().map(|id| Self::take(cache_dir, id)).collect()
    }

    /// The bundle.
    #[must_use]
    pub fn bundle_id(&self) -> &BundleId {
        &self.bundle_id
    }
}

/// The bundle that a file is in.
fn bundle_of(cache_dir: &Path, file: &Path) -> Option<BundleId> {
    let inside = |dir: &Path, file: &Path| {
        let mut rest = file.strip_prefix(dir).ok()?.components();
        let id = rest.next()?.as_os_str().to_str()?.parse().ok()?;
        rest.next().map(|_| id)
    };
    inside(cache_dir, file).or_else(|| {
        let (dir, file) = (fs_err::canonicalize(cache_dir).ok()?, fs_err::canonicalize(file).ok()?);
        inside(&dir, &file)
    })
}

pub(super) fn use_lock(cache_dir: &Path, bundle_id: &BundleId) -> PathBuf {
    cache_dir.join(LOCKS_DIR).join(format!("{bundle_id}.use"))
}

pub(super) fn fetch_lock(cache_dir: &Path, bundle_id: &BundleId) -> PathBuf {
    cache_dir.join(LOCKS_DIR).join(format!("{bundle_id}.fetch"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_of_the_bundle_whose_directory_it_is_in() {
        let home = tempfile::tempdir().unwrap();
        let cache = home.path().join("cache");
        fs_err::create_dir_all(cache.join("b/sub")).unwrap();
        fs_err::write(cache.join("b/vmlinux"), "").unwrap();
        let link = home.path().join("link");
        std::os::unix::fs::symlink(&cache, &link).unwrap();
        let bundle = |file: PathBuf| bundle_of(&cache, &file).map(String::from);
        assert_eq!(bundle(cache.join("b/vmlinux")).as_deref(), Some("b"));
        assert_eq!(bundle(link.join("b/vmlinux")).as_deref(), Some("b"));
        assert_eq!(bundle(cache.join("b")), None);
        assert_eq!(bundle(cache.join("~locks/b.use")), None);
        assert_eq!(bundle("/etc/passwd".into()), None);
        assert_eq!(bundle(cache.join("../x")), None);
    }
}
