//! One snapshot in the store.

use std::io;
use std::path::{Path, PathBuf};

use smartvm_images::{FileStamp, VerifiedFiles};

use super::digest::{digest_of_extents, digest_of_file};
use super::files;
use super::manifest::{DriveContent, SavedDrive, SnapshotKind, SnapshotManifest};
use super::name::SnapshotName;
use super::origin::OriginKey;
use super::own_file::open_own;
use super::read::ReadManifestError;

/// A snapshot whose manifest was read. Its files are looked at by [`verify`](Self::verify).
#[derive(Debug, Clone)]
pub struct Snapshot {
    dir: PathBuf,
    manifest: SnapshotManifest,
    made_here: bool,
}

/// How thoroughly the files of a snapshot are compared with its manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// Small files are hashed; the memory and the drives only when they are not as they were when
    /// they were last hashed: another inode, another size, another time of change.
    #[default]
    Changed,
    /// All files are hashed.
    Always,
}

/// A snapshot that is not what its manifest says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifySnapshotError {
    /// A file has another content.
    #[error("snapshot {name}: {} is not what was saved", path.display())]
    Tampered {
        /// The snapshot.
        name: SnapshotName,
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("snapshot {name}: cannot read {}", path.display())]
    Unreadable {
        /// The snapshot.
        name: SnapshotName,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl VerifySnapshotError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Tampered { .. } => "SNAPSHOT_TAMPERED",
            Self::Unreadable { .. } => "SNAPSHOT_DAMAGED",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Tampered { path, .. } if path.starts_with("/") && path.is_file() => {
                "the file was changed after the snapshot was made: put back what was there, or make \
                 another snapshot"
                    .to_owned()
            }
            _ => "put the file back, or make another snapshot".to_owned(),
        })
    }
}

impl Snapshot {
    /// Reads the snapshot in `dir`.
    ///
    /// # Errors
    /// When its manifest cannot be read.
    pub fn open(dir: &Path) -> Result<Self, ReadManifestError> {
        let text = SnapshotManifest::read_text(&dir.join(files::MANIFEST))?;
        Self::parse(dir, &text, None)
    }

    /// The one in `dir`, whose manifest has this text, in a store with this key.
    pub(super) fn parse(
        dir: &Path,
        text: &[u8],
        key: Option<&OriginKey>,
    ) -> Result<Self, ReadManifestError> {
        let manifest = SnapshotManifest::parse(text)?;
        let made_here = key.is_some_and(|key| key.has_marked(dir, &manifest.name, text));
        Ok(Self { dir: dir.to_owned(), manifest, made_here })
    }

    /// Whether this host made it, in the store that it was found in. Of no other is believed what it
    /// says of the host: the files of shared drives, TAPs.
    #[must_use]
    pub fn is_made_here(&self) -> bool {
        self.made_here
    }

    /// Says which files of this host the drives are that the snapshot shares with others.
    pub(super) fn share(&mut self, drive_id: &str, file: &Path) {
        for drive in self.manifest.drives.iter_mut().filter(|drive| drive.drive_id == drive_id) {
            if let DriveContent::Shared { path } = &mut drive.content {
                file.clone_into(path);
            }
        }
    }

    /// Its name in the store.
    #[must_use]
    pub fn name(&self) -> &SnapshotName {
        &self.manifest.name
    }

    /// What is known of it.
    #[must_use]
    pub fn manifest(&self) -> &SnapshotManifest {
        &self.manifest
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file of devices and processors.
    #[must_use]
    pub fn vmstate_path(&self) -> PathBuf {
        self.dir.join(files::VMSTATE)
    }

    /// The file of the guest's memory.
    #[must_use]
    pub fn memory_path(&self) -> PathBuf {
        self.dir.join(files::MEMORY)
    }

    /// The file of a drive's content.
    #[must_use]
    pub fn drive_path(&self, drive: &SavedDrive) -> PathBuf {
        SnapshotManifest::drive_file(&self.dir, drive)
    }

    /// How many bytes its own files occupy on the disk.
    #[must_use]
    pub fn bytes_on_disk(&self) -> u64 {
        use std::os::unix::fs::MetadataExt;
        let own = |drive: &&SavedDrive| drive.content == DriveContent::Captured;
        let drives = self.manifest.drives.iter().filter(own).map(|drive| self.drive_path(drive));
        [self.vmstate_path(), self.memory_path()]
            .into_iter()
            .chain(drives)
            .filter_map(|path| fs_err::metadata(path).ok())
            .map(|file| file.blocks() * 512)
            .sum()
    }

    /// Compares the snapshot's files, and the drives that it shares with others, with the manifest.
    /// Blocks. What was hashed is remembered beside the manifest for the next time.
    ///
    /// This finds damage, and a change made by somebody who can write to these files and not to the
    /// manifest. Who can write to the directory, which is for its owner alone, can make a manifest
    /// that fits.
    ///
    /// # Errors
    /// `SNAPSHOT_TAMPERED` names the first file that is not what was saved.
    pub fn verify(&self, how: Verify) -> Result<(), VerifySnapshotError> {
        let record = self.dir.join(files::VERIFIED);
        let before = VerifiedFiles::read(&record);
        let mut stamps = before.clone();
        let manifest = &self.manifest;
        self.check(&mut stamps, Verify::Always, files::VMSTATE.into(), &self.vmstate_path())?;
        self.check(&mut stamps, how, files::MEMORY.into(), &self.memory_path())?;
        for drive in &manifest.drives {
            self.check(&mut stamps, how, stamp_name(drive), &self.drive_path(drive))?;
        }
        if stamps != before
            && let Err(error) = stamps.write(&record)
        {
            tracing::debug!(%error, "what was verified cannot be remembered");
        }
        Ok(())
    }

    fn check(
        &self,
        stamps: &mut VerifiedFiles,
        how: Verify,
        file: String,
        path: &Path,
    ) -> Result<(), VerifySnapshotError> {
        let name = || self.manifest.name.clone();
        let unreadable = |source| VerifySnapshotError::Unreadable {
            name: name(),
            path: path.to_owned(),
            source,
        };
        let tampered = || VerifySnapshotError::Tampered { name: name(), path: path.to_owned() };
        let manifest = &self.manifest;
        let expected = match file.as_str() {
            files::VMSTATE => &manifest.vmstate,
            files::MEMORY => &manifest.memory,
            _ => match manifest.drives.iter().find(|drive| stamp_name(drive) == file) {
                Some(drive) => &drive.digest,
                None => return Err(tampered()),
            },
        };
        if let Ok(own) = path.strip_prefix(&self.dir) {
            open_own(&self.dir, own).map_err(unreadable)?;
        }
        let metadata = fs_err::metadata(path).map_err(unreadable)?;
        if !metadata.is_file() || metadata.len() != expected.size {
            return Err(tampered());
        }
        let now = FileStamp::of(path).map_err(unreadable)?;
        if how == Verify::Changed && stamps.vouch_for(&file, &now, &expected.sha256) {
            return Ok(());
        }
        let sparse = file == files::MEMORY && manifest.kind == SnapshotKind::Diff;
        let found = if sparse { digest_of_extents(path) } else { digest_of_file(path) };
        let found = found.map_err(unreadable)?;
        if found != expected.sha256 {
            return Err(tampered());
        }
        // A change while it was hashed leaves the older stamp, which then vouches for nothing.
        stamps.note(file, now, found);
        Ok(())
    }
}

/// The name of a drive among the stamps.
pub(super) fn stamp_name(drive: &SavedDrive) -> String {
    format!("{}/{}", files::DRIVES, drive.file_name())
}
