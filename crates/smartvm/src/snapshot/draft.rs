//! A snapshot that is being made.

use std::io;
use std::path::{Path, PathBuf};

use fs_err::File;
use rustix::fs::{Mode, fchmod, fchown};
use rustix::process::{getegid, geteuid};
use smartvm_images::signature::{SignedKind, SigningKey};
use smartvm_images::{FileStamp, VerifiedFiles};

use super::digest::{digest_of_extents, digest_of_file};
use super::files;
use super::manifest::{DriveContent, SavedDrive, SnapshotKind, SnapshotManifest};
use super::name::SnapshotName;
use super::own_file::open_own;
use super::store::{SnapshotStore, SnapshotStoreError};
use super::stored::{Snapshot, stamp_name};
use crate::disk::DiskUse;

/// The directory of a snapshot that has no name yet. Dropping it removes it.
#[derive(Debug)]
#[must_use = "dropping it removes what was made"]
pub(crate) struct Draft {
    store: SnapshotStore,
    name: SnapshotName,
    path: PathBuf,
    key: Option<SigningKey>,
    /// Held, not read: what was promised to it of the disk.
    _promise: Option<DiskUse>,
    /// Held, not read: the lock is what says that the maker lives.
    _lock: File,
    published: bool,
}

impl Draft {
    pub(super) fn new(store: SnapshotStore, name: SnapshotName, path: PathBuf, lock: File) -> Self {
        Self { store, name, path, key: None, _promise: None, _lock: lock, published: false }
    }

    /// The same, which is signed with the key, if there is one, before it has a name.
    pub(super) fn signed_by(mut self, key: Option<SigningKey>) -> Self {
        self.key = key;
        self
    }

    /// The same, which holds what was promised to it of the disk until it is published, or removed.
    pub(super) fn with_promise(mut self, promise: DiskUse) -> Self {
        self._promise = Some(promise);
        self
    }

    pub(crate) fn name(&self) -> &SnapshotName {
        &self.name
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn vmstate(&self) -> PathBuf {
        self.path.join(files::VMSTATE)
    }

    pub(crate) fn memory(&self) -> PathBuf {
        self.path.join(files::MEMORY)
    }

    /// Where a captured drive goes.
    pub(crate) fn drive_path(&self, drive: &SavedDrive) -> PathBuf {
        self.path.join(files::DRIVES).join(drive.file_name())
    }

    pub(crate) fn make_drives_dir(&self) -> io::Result<()> {
        fs_err::create_dir(self.path.join(files::DRIVES))
    }

    /// Makes the two files that Firecracker wrote ours again, also those that it did not give back.
    pub(crate) fn take_back(&self) -> io::Result<()> {
        for path in [self.vmstate(), self.memory()] {
            let file = open_own(&self.path, path.strip_prefix(&self.path).unwrap_or(&path))?;
            fchown(&file, Some(geteuid()), Some(getegid()))?;
            fchmod(&file, Mode::from_raw_mode(0o644))?;
        }
        Ok(())
    }

    /// Hashes all files, writes the manifest and gives the snapshot its name. The digests in
    /// `manifest` are filled in. Blocks: this takes as long as reading the memory does.
    pub(crate) fn publish(
        mut self,
        mut manifest: SnapshotManifest,
    ) -> Result<Snapshot, SnapshotStoreError> {
        self.complete(&mut manifest).map_err(|source| SnapshotStoreError::Io {
            action: "complete",
            path: self.path.clone(),
            source,
        })?;
        self.store.publish(&self.path, &self.name)?;
        self.published = true;
        self.store.get(&self.name)
    }

    fn complete(&self, manifest: &mut SnapshotManifest) -> io::Result<()> {
        let mut stamps = VerifiedFiles::default();
        let sparse = manifest.kind == SnapshotKind::Diff;
        let own = [
            (files::VMSTATE, &mut manifest.vmstate, false),
            (files::MEMORY, &mut manifest.memory, sparse),
        ];
        for (name, digest, sparse) in own {
            let path = self.path.join(name);
            let file = File::open(&path)?;
            file.sync_all()?;
            let stamp = FileStamp::of(&path)?;
            digest.size = file.metadata()?.len();
            digest.sha256 = if sparse { digest_of_extents(&path)? } else { digest_of_file(&path)? };
            stamps.note(name, stamp, digest.sha256);
        }
        for drive in &mut manifest.drives {
            let path = match &drive.content {
                DriveContent::Captured => self.drive_path(drive),
                DriveContent::Shared { path } => path.clone(),
            };
            let file = File::open(&path)?;
            if drive.content == DriveContent::Captured {
                file.sync_all()?;
            }
            let stamp = FileStamp::of(&path)?;
            drive.digest.size = file.metadata()?.len();
            drive.digest.sha256 = digest_of_file(&path)?;
            stamps.note(stamp_name(drive), stamp, drive.digest.sha256);
        }
        let text = serde_json::to_vec_pretty(manifest).map_err(io::Error::other)?;
        // What could not be read back gets no name.
        SnapshotManifest::parse(&text).map_err(io::Error::other)?;
        self.write(files::MANIFEST, &text)?;
        if let Some(key) = &self.key {
            let signature = key.sign(SignedKind::Snapshot, &text);
            self.write(files::SIGNATURE, signature.as_bytes())?;
        }
        stamps.write(&self.path.join(files::VERIFIED))?;
        let drives = self.path.join(files::DRIVES);
        if drives.is_dir() {
            // The names of its files are not in the directory above.
            File::open(&drives)?.sync_all()?;
        }
        File::open(&self.path)?.sync_all()
    }

    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let path = self.path.join(name);
        fs_err::write(&path, content)?;
        File::open(&path)?.sync_all()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.published
            && let Err(error) = fs_err::remove_dir_all(&self.path)
        {
            tracing::warn!(%error, "a half-made snapshot was left; the next command removes it");
        }
    }
}
