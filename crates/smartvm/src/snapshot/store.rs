//! The directory of the snapshots: one directory each, `NAME/{manifest.json,vmstate,memory,drives/}`.
//!
//! A snapshot appears whole, by a rename, or not at all. While it is made it has another name, and
//! its maker holds a lock on it; a draft whose lock is free was left by a process that died, and
//! whoever changes the store next removes it.

use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use fs_err::File;
use rustix::fs::{FlockOperation, flock};
use smartvm_dir::{PrivateDir, UnsafeDirectory};
use smartvm_images::signature::{MAX_SIGNATURE_BYTES, SignatureError, SignedKind, VerifyingKey};
use uuid::Uuid;

use super::draft::Draft;
use super::files;
use super::manifest::{SnapshotManifest, SnapshotParent};
use super::name::{InvalidSnapshotName, SnapshotName};
use super::origin::OriginKey;
use super::own_file::open_own;
use super::read::ReadManifestError;
use super::stored::Snapshot;

/// Directories that are being filled or emptied begin with this; names of snapshots cannot.
const DRAFT_PREFIX: &str = ".draft-";

/// A directory of snapshots.
#[derive(Debug, Clone)]
pub struct SnapshotStore {
    dir: PathBuf,
}

/// The reason why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotStoreError {
    /// Others could change the snapshots.
    #[error(transparent)]
    Unsafe(#[from] UnsafeDirectory),
    /// The name is none.
    #[error(transparent)]
    InvalidName(#[from] InvalidSnapshotName),
    /// There is no such snapshot.
    #[error("no snapshot {name}; there is: {}", list_or_none(available))]
    NotFound {
        /// The name.
        name: SnapshotName,
        /// The names there are.
        available: Vec<SnapshotName>,
    },
    /// There is one already.
    #[error("snapshot {name} exists already")]
    Exists {
        /// The name.
        name: SnapshotName,
    },
    /// VMs are being restored from it, or it is being merged.
    #[error("snapshot {name} is being read")]
    Busy {
        /// The name.
        name: SnapshotName,
    },
    /// Others are built on it.
    #[error("snapshot {name} is the base of {}", list_or_none(children))]
    InUse {
        /// The name.
        name: SnapshotName,
        /// The differential snapshots that need it.
        children: Vec<SnapshotName>,
    },
    /// It is not signed by the key that it must be signed by.
    #[error("snapshot {name} is not trusted")]
    Signature {
        /// The name.
        name: SnapshotName,
        /// Why not.
        source: SignatureError,
    },
    /// Its manifest cannot be read.
    #[error("snapshot {name} cannot be used")]
    Damaged {
        /// The name.
        name: SnapshotName,
        /// Why.
        source: ReadManifestError,
    },
    /// The operating system refused.
    #[error("failed to {action} {}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl SnapshotStoreError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsafe(_) => "UNSAFE_DIRECTORY",
            Self::InvalidName(_) => "INVALID_SNAPSHOT_NAME",
            Self::NotFound { .. } => "SNAPSHOT_NOT_FOUND",
            Self::Exists { .. } => "SNAPSHOT_EXISTS",
            Self::InUse { .. } | Self::Busy { .. } => "SNAPSHOT_IN_USE",
            Self::Signature { source: SignatureError::Unsigned, .. } => "SNAPSHOT_UNSIGNED",
            Self::Signature { .. } => "SNAPSHOT_WRONG_SIGNATURE",
            Self::Damaged { .. } => "SNAPSHOT_DAMAGED",
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "SNAPSHOT_NO_SPACE"
            }
            Self::Io { .. } => "SNAPSHOT_STORE_FAILED",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unsafe(error) => error.hint(),
            Self::NotFound { available, .. } if available.is_empty() => {
                Some("make one of a running VM: smartvm snapshot create VM".to_owned())
            }
            Self::Busy { .. } => {
                Some("try again in a moment, when what is restored from it runs".to_owned())
            }
            Self::Exists { .. } => Some("choose another name, or remove that one".to_owned()),
            Self::InUse { .. } => {
                Some("merge or remove the snapshots that are built on it first".to_owned())
            }
            Self::Signature { source: SignatureError::Unsigned, .. } => Some(
                "have it signed where it is made: smartvm snapshot create VM --sign KEY".to_owned(),
            ),
            Self::Damaged { name, .. } => {
                Some(format!("remove it with `smartvm snapshot rm {name}` and make another one"))
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => Some(
                "free space where the snapshots are, or choose another data directory".to_owned(),
            ),
            _ => None,
        }
    }
}

impl SnapshotStore {
    /// Whether `dir` is that of a snapshot which is being made in, or removed from, the store at `store`.
    pub(crate) fn is_draft(store: &Path, dir: &Path) -> bool {
        let name = dir.file_name().and_then(std::ffi::OsStr::to_str);
        dir.parent() == Some(store) && name.is_some_and(|name| name.starts_with(DRAFT_PREFIX))
    }

    /// Opens the store in `dir`, creating it for its owner alone (0700) when it is not there.
    ///
    /// # Errors
    /// `UNSAFE_DIRECTORY` when others may write to it: what is in it runs as a guest.
    pub fn open(dir: &Path) -> Result<Self, SnapshotStoreError> {
        Ok(Self { dir: PrivateDir::ensure(dir)?.path().to_owned() })
    }

    /// The directory of the store, absolute.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The snapshot with this name. Its files are not looked at: see [`Snapshot::verify`].
    ///
    /// # Errors
    /// `SNAPSHOT_NOT_FOUND` names the snapshots there are; `SNAPSHOT_DAMAGED`.
    pub fn get(&self, name: &SnapshotName) -> Result<Snapshot, SnapshotStoreError> {
        self.find(name, None)
    }

    /// The same, which must be signed by `key`. Nothing of it is parsed before that is sure.
    ///
    /// # Errors
    /// As [`get`](Self::get); `SNAPSHOT_UNSIGNED` and `SNAPSHOT_WRONG_SIGNATURE`.
    pub fn get_signed(
        &self,
        name: &SnapshotName,
        key: &VerifyingKey,
    ) -> Result<Snapshot, SnapshotStoreError> {
        self.find(name, Some(key))
    }

    fn find(
        &self,
        name: &SnapshotName,
        signer: Option<&VerifyingKey>,
    ) -> Result<Snapshot, SnapshotStoreError> {
        let dir = self.dir.join(name.as_str());
        if !dir.is_dir() {
            return Err(SnapshotStoreError::NotFound {
                name: name.clone(),
                available: self.names()?,
            });
        }
        let damaged = |source| SnapshotStoreError::Damaged { name: name.clone(), source };
        let key = OriginKey::read(&self.dir).map_err(|source| SnapshotStoreError::Io {
            action: "read the key of",
            path: self.dir.clone(),
            source,
        })?;
        let text = SnapshotManifest::read_text(&dir.join(files::MANIFEST)).map_err(damaged)?;
        if let Some(signer) = signer {
            let signature = read_signature(&dir);
            signer
                .verify(SignedKind::Snapshot, &text, signature.as_deref())
                .map_err(|source| SnapshotStoreError::Signature { name: name.clone(), source })?;
        }
        let snapshot = Snapshot::parse(&dir, &text, key.as_ref()).map_err(damaged)?;
        if snapshot.name() != name {
            let what = format!("its name is {}", snapshot.name());
            return Err(damaged(ReadManifestError::Nonsense { what }));
        }
        Ok(snapshot)
    }

    /// All snapshots, the oldest first. One that cannot be read is left out, with a warning in the
    /// log. What dead processes left half-made is removed.
    ///
    /// # Errors
    /// When the store's directory cannot be read.
    pub fn list(&self) -> Result<Vec<Snapshot>, SnapshotStoreError> {
        drop(self.lock()?);
        let mut snapshots: Vec<_> = self
            .names()?
            .into_iter()
            .filter_map(|name| match self.get(&name) {
                Ok(snapshot) => Some(snapshot),
                Err(error) => {
                    tracing::warn!(%name, %error, "left a damaged snapshot out of the list");
                    None
                }
            })
            .collect();
        snapshots.sort_by_key(|snapshot| snapshot.manifest().created_at_ms);
        Ok(snapshots)
    }

    /// Removes a snapshot. VMs that were restored from it go on: they hold its files open.
    ///
    /// # Errors
    /// `SNAPSHOT_NOT_FOUND`; `SNAPSHOT_IN_USE` when differential snapshots are built on it, or a VM is being
    /// restored from it.
    pub fn remove(&self, name: &SnapshotName) -> Result<(), SnapshotStoreError> {
        let _lock = self.lock()?;
        let path = self.dir.join(name.as_str());
        if !path.is_dir() {
            return Err(SnapshotStoreError::NotFound {
                name: name.clone(),
                available: self.names()?,
            });
        }
        let children = self.children_of(name)?;
        if !children.is_empty() {
            return Err(SnapshotStoreError::InUse { name: name.clone(), children });
        }
        let failed =
            |source| SnapshotStoreError::Io { action: "remove", path: path.clone(), source };
        let _alone = match lock_dir(&path, FlockOperation::NonBlockingLockExclusive) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(SnapshotStoreError::Busy { name: name.clone() });
            }
            locked => locked.map_err(failed)?,
        };
        let doomed = self.dir.join(format!("{DRAFT_PREFIX}{}", Uuid::new_v4()));
        fs_err::rename(&path, &doomed).map_err(failed)?;
        fs_err::remove_dir_all(&doomed).map_err(failed)
    }

    /// Keeps a snapshot that was found from being removed for as long as the value lives.
    ///
    /// # Errors
    /// `SNAPSHOT_NOT_FOUND` when it was removed meanwhile.
    pub(crate) fn hold(&self, snapshot: &Snapshot) -> Result<File, SnapshotStoreError> {
        let path = snapshot.dir();
        let gone = || {
            let (name, available) = (snapshot.name().clone(), self.names().unwrap_or_default());
            SnapshotStoreError::NotFound { name, available }
        };
        let failed =
            |source| SnapshotStoreError::Io { action: "lock", path: path.to_owned(), source };
        let held = match lock_dir(path, FlockOperation::NonBlockingLockShared) {
            // Who has it alone is about to remove it.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::WouldBlock) =>
            {
                return Err(gone());
            }
            held => held.map_err(failed)?,
        };
        let (ours, there) = (held.metadata().map_err(failed)?, fs_err::metadata(path));
        if !there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            return Err(gone());
        }
        Ok(held)
    }

    /// Begins a snapshot of that name.
    ///
    /// # Errors
    /// `SNAPSHOT_EXISTS`; `SNAPSHOT_STORE_FAILED` when nothing can be made.
    pub(crate) fn draft(&self, name: &SnapshotName) -> Result<Draft, SnapshotStoreError> {
        let _lock = self.lock()?;
        self.check_free(name)?;
        let path = self.dir.join(format!("{DRAFT_PREFIX}{}", Uuid::new_v4()));
        let failed = |source| SnapshotStoreError::Io { action: "make", path: path.clone(), source };
        std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(failed)?;
        let made = lock_dir(&path, FlockOperation::NonBlockingLockExclusive);
        match made {
            Ok(lock) => Ok(Draft::new(self.clone(), name.clone(), path, lock)),
            Err(error) => {
                let _ = fs_err::remove_dir_all(&path);
                Err(failed(error))
            }
        }
    }

    /// Gives a draft that is whole the name that it was begun for.
    pub(super) fn publish(
        &self,
        draft: &Path,
        name: &SnapshotName,
    ) -> Result<(), SnapshotStoreError> {
        let _lock = self.lock()?;
        self.check_free(name)?;
        let path = self.dir.join(name.as_str());
        let failed = |source| SnapshotStoreError::Io { action: "name", path: path.clone(), source };
        let manifest = fs_err::read(draft.join(files::MANIFEST)).map_err(failed)?;
        let marked = OriginKey::ensure(&self.dir)
            .and_then(|key| key.mark(draft, name, &manifest))
            .and_then(|()| File::open(draft)?.sync_all());
        marked.map_err(failed)?;
        fs_err::rename(draft, &path).map_err(failed)?;
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(failed)
    }

    /// The snapshots that a differential one is built on, itself first, the full one last.
    ///
    /// # Errors
    /// `SNAPSHOT_NOT_FOUND` when one is missing, `SNAPSHOT_DAMAGED` when one is another than it was.
    pub fn chain(&self, name: &SnapshotName) -> Result<Vec<Snapshot>, SnapshotStoreError> {
        let mut chain = vec![self.get(name)?];
        while let Some(SnapshotParent { name, id }) =
            chain.last().and_then(|last| last.manifest().parent.clone())
        {
            let parent = self.get(&name)?;
            let again = chain.iter().any(|other| other.name() == parent.name());
            if parent.manifest().id != id || again {
                let what =
                    format!("{} was built on another snapshot of that name", chain[0].name());
                let source = ReadManifestError::Nonsense { what };
                return Err(SnapshotStoreError::Damaged { name, source });
            }
            chain.push(parent);
        }
        Ok(chain)
    }

    fn children_of(&self, name: &SnapshotName) -> Result<Vec<SnapshotName>, SnapshotStoreError> {
        let others = self.names()?.into_iter().filter_map(|other| self.get(&other).ok());
        let children = others.filter(|other| {
            other.manifest().parent.as_ref().is_some_and(|parent| parent.name == *name)
        });
        Ok(children.map(|child| child.name().clone()).collect())
    }

    fn check_free(&self, name: &SnapshotName) -> Result<(), SnapshotStoreError> {
        if fs_err::symlink_metadata(self.dir.join(name.as_str())).is_ok() {
            return Err(SnapshotStoreError::Exists { name: name.clone() });
        }
        Ok(())
    }

    /// Locks the store against other changes until the file is dropped, and removes what dead
    /// processes left in it.
    fn lock(&self) -> Result<File, SnapshotStoreError> {
        let failed =
            |source| SnapshotStoreError::Io { action: "lock", path: self.dir.clone(), source };
        let lock = lock_dir(&self.dir, FlockOperation::LockExclusive).map_err(failed)?;
        for entry in fs_err::read_dir(&self.dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let draft = path.file_name().and_then(|name| name.to_str());
            if draft.is_some_and(|name| name.starts_with(DRAFT_PREFIX))
                && lock_dir(&path, FlockOperation::NonBlockingLockExclusive).is_ok()
                && let Err(error) = fs_err::remove_dir_all(&path)
            {
                tracing::warn!(%error, "a half-made snapshot cannot be removed");
            }
        }
        Ok(lock)
    }

    fn names(&self) -> Result<Vec<SnapshotName>, SnapshotStoreError> {
        let failed =
            |source| SnapshotStoreError::Io { action: "read", path: self.dir.clone(), source };
        let mut names = Vec::new();
        for entry in fs_err::read_dir(&self.dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            names.extend(name.to_str().and_then(|name| name.parse::<SnapshotName>().ok()));
        }
        names.sort();
        Ok(names)
    }
}

/// What is in the file of a snapshot's signature, if there is one.
fn read_signature(dir: &Path) -> Option<Vec<u8>> {
    let file = open_own(dir, Path::new(files::SIGNATURE)).ok()?;
    let mut text = Vec::new();
    file.take(MAX_SIGNATURE_BYTES).read_to_end(&mut text).ok()?;
    Some(text)
}

fn lock_dir(path: &Path, how: FlockOperation) -> io::Result<File> {
    let dir = File::open(path)?;
    rustix::io::retry_on_intr(|| flock(&dir, how))?;
    Ok(dir)
}

fn list_or_none(names: &[SnapshotName]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
