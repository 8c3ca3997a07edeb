//! The directory that keeps bundles, one directory each.
//!
//! A bundle appears and goes by a rename, so that it is whole or not there. Names that begin with `~` are
//! no bundles: `~draft-ID` is being filled, or waits to be gone on with; `~trash-ID` is being removed;
//! `~locks` has, for each bundle, the lock of who fetches it and the one of who uses it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, RenameFlags};
use smartvm_dir::{PrivateDir, Trust};

use super::base_image_error::{BaseImageError, BundleDamage};
use super::bundle::BaseImageBundle;
use super::lease::{LOCKS_DIR, fetch_lock, use_lock};
use super::names::{BundleId, MANIFEST_FILE};
use super::verified::{Verified, Verify};
use crate::atomic_file::{sync_directory, write_atomically};
use crate::file_lock::FileLock;
use crate::regular_file::{ReadFileError, read_regular};
use crate::release::remove_tree;

const DRAFT_PREFIX: &str = "~draft-";
const TRASH_PREFIX: &str = "~trash-";
const MAX_MANIFEST: u64 = 1 << 20;

/// After how long an unfinished bundle that nobody goes on with is removed.
const STALE: Duration = Duration::from_secs(7 * 24 * 3600);

/// A directory of bundles.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    dir: PathBuf,
}

/// What came of removing a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removal {
    Removed,
    NotThere,
    InUse,
}

/// Which unfinished bundles are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leftovers {
    /// Those that were not touched for a week.
    Stale,
    /// All that nobody is filling.
    All,
}

impl Cache {
    pub(super) fn open(dir: &Path) -> Result<Self, BaseImageError> {
        let dir = PrivateDir::ensure_for(dir, Trust::UsOrRoot)?.path().to_owned();
        PrivateDir::ensure_for(&dir.join(LOCKS_DIR), Trust::UsOrRoot)?;
        Ok(Self { dir })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn bundle_dir(&self, id: &BundleId) -> PathBuf {
        self.dir.join(id.as_str())
    }

    pub(super) fn draft_dir(&self, id: &BundleId) -> PathBuf {
        self.dir.join(format!("{DRAFT_PREFIX}{id}"))
    }

    /// What is recorded of a bundle; none when it is not there.
    pub(super) fn load(&self, id: &BundleId) -> Result<Option<BaseImageBundle>, BundleDamage> {
        let dir = self.bundle_dir(id);
        let text = match read_regular(&dir.join(MANIFEST_FILE), MAX_MANIFEST) {
            Err(ReadFileError::Io { source, .. })
                if source.kind() == io::ErrorKind::NotFound && !dir.exists() =>
            {
                return Ok(None);
            }
            other => other.map_err(BundleDamage::Read)?,
        };
        let bundle: BaseImageBundle = serde_json::from_slice(&text).map_err(BundleDamage::Parse)?;
        bundle.placed_in(&dir).map(Some).ok_or(BundleDamage::Elsewhere)
    }

    /// Makes sure that a bundle's files are what they must be.
    pub(super) fn check(
        &self,
        bundle: &BaseImageBundle,
        verify: Verify,
    ) -> Result<(), BundleDamage> {
        let files = bundle.files().ok_or(BundleDamage::Unverifiable)?;
        let before = Verified::read(&bundle.bundle_dir);
        let mut verified = before.clone();
        verified.check(&bundle.bundle_dir, &files, verify)?;
        if verified != before
            && let Err(error) = verified.write(&bundle.bundle_dir)
        {
            tracing::debug!(%error, "the next use will hash the base image again");
        }
        Ok(())
    }

    /// Records what is known of a bundle that is there.
    pub(super) fn record(&self, bundle: &BaseImageBundle) -> io::Result<()> {
        write_atomically(&bundle.bundle_dir.join(MANIFEST_FILE), &json(bundle)?)
    }

    /// Gives a draft the bundle's name, in place of what has it. All is on the disk before.
    pub(super) fn publish(&self, draft: &Path, bundle: &BaseImageBundle) -> io::Result<()> {
        let mut manifest = fs_err::File::create(draft.join(MANIFEST_FILE))?;
        manifest.write_all(&json(bundle)?)?;
        manifest.sync_all()?;
        sync_directory(draft)?;
        let target = self.bundle_dir(&bundle.bundle_id);
        let rename = |flags| rustix::fs::renameat_with(CWD, draft, CWD, &target, flags);
        match rename(RenameFlags::NOREPLACE) {
            Err(rustix::io::Errno::EXIST) => {
                rename(RenameFlags::EXCHANGE)?;
                // The damaged one now has the draft's name. Who has its files open keeps them.
                remove_tree(&self.discard(draft, &bundle.bundle_id)?)?;
            }
            other => other?,
        }
        sync_directory(&self.dir)
    }

    /// The names of the directories that may be bundles, in order.
    pub(super) fn ids(&self) -> io::Result<Vec<BundleId>> {
        let mut ids = Vec::new();
        for entry in fs_err::read_dir(&self.dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                ids.extend(
                    entry.file_name().to_str().and_then(|name| name.parse::<BundleId>().ok()),
                );
            }
        }
        ids.sort();
        Ok(ids)
    }

    /// All bundles, the last used first. What cannot be understood is left out.
    pub(super) fn list(&self) -> io::Result<Vec<BaseImageBundle>> {
        let load = |id| match self.load(&id) {
            Ok(bundle) => bundle,
            Err(error) => {
                tracing::debug!(bundle = %id, %error, "left a damaged base image out of the list");
                None
            }
        };
        let mut bundles: Vec<_> = self.ids()?.into_iter().filter_map(load).collect();
        bundles.sort_by(|a, b| {
            let key =
                |bundle: &BaseImageBundle| (bundle.last_accessed_at, bundle.bundle_id.clone());
            key(b).cmp(&key(a))
        });
        Ok(bundles)
    }

    /// Removes what exceeds `limit` bundles, the longest unused first; neither `keep` nor one in use.
    pub(super) fn evict(&self, limit: usize, keep: Option<&BundleId>) -> io::Result<Vec<BundleId>> {
        let (kept, others): (Vec<_>, Vec<_>) =
            self.list()?.into_iter().partition(|bundle| Some(&bundle.bundle_id) == keep);
        let mut evicted = Vec::new();
        for bundle in kept.iter().chain(&others).skip(limit) {
            let id = &bundle.bundle_id;
            if Some(id) == keep {
                continue;
            }
            match self.remove(id)? {
                Removal::Removed => {
                    let dir = bundle.bundle_dir.display();
                    tracing::warn!(
                        "the base image cache keeps {limit}: evicted {id} from {dir}; \
                         maxStoredBaseImages changes this"
                    );
                    evicted.push(id.clone());
                }
                Removal::InUse => {
                    tracing::debug!(bundle = %id, "kept a base image beyond the limit: it is in use");
                }
                Removal::NotThere => {}
            }
        }
        Ok(evicted)
    }

    /// Removes a bundle unless somebody uses it.
    pub(super) fn remove(&self, id: &BundleId) -> io::Result<Removal> {
        let Some(lock) = FileLock::try_exclusive(&use_lock(&self.dir, id))? else {
            return Ok(Removal::InUse);
        };
        let dir = self.bundle_dir(id);
        let removal = match fs_err::symlink_metadata(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Removal::NotThere,
            Err(error) => return Err(error),
            Ok(_) => {
                let trash = self.discard(&dir, id)?;
                // Whoever waits for the lock need not wait for the disk.
                lock.remove()?;
                remove_tree(&trash)?;
                return Ok(Removal::Removed);
            }
        };
        lock.remove()?;
        Ok(removal)
    }

    /// Takes a directory its name. What it is now called is to be removed.
    fn discard(&self, dir: &Path, id: &BundleId) -> io::Result<PathBuf> {
        let trash = self.dir.join(format!("{TRASH_PREFIX}{id}"));
        remove_tree(&trash)?;
        fs_err::rename(dir, &trash)?;
        Ok(trash)
    }

    /// Removes what killed or failed processes left.
    pub(super) fn sweep(&self, which: Leftovers) -> io::Result<()> {
        for entry in fs_err::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.starts_with(TRASH_PREFIX) {
                remove_tree(&entry.path())?;
            } else if let Some(id) = name.strip_prefix(DRAFT_PREFIX).and_then(|id| id.parse().ok())
                && (which == Leftovers::All || is_stale(&entry.path()))
                && let Some(lock) = FileLock::try_exclusive(&fetch_lock(&self.dir, &id))?
            {
                remove_tree(&entry.path())?;
                lock.remove()?;
            }
        }
        Ok(())
    }
}

fn is_stale(dir: &Path) -> bool {
    let changed = fs_err::symlink_metadata(dir).and_then(|metadata| metadata.modified());
    let age = changed.map(|time| SystemTime::now().duration_since(time).unwrap_or_default());
    age.is_ok_and(|age| age > STALE)
}

fn json(bundle: &BaseImageBundle) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(bundle).map_err(io::Error::other)?;
    text.push(b'\n');
    Ok(text)
}
