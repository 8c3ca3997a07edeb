//! Making differential snapshots whole again.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use fs_err::{File, OpenOptions};
use smartvm_images::signature::SigningKey;
use smartvm_images::{StageDriveError, stage_drive};

use super::extents::{Extents, read_exact_at, write_all_at};
use super::files;
use super::manifest::{DriveContent, SnapshotKind};
use super::name::SnapshotName;
use super::store::{SnapshotStore, SnapshotStoreError};
use super::stored::{Snapshot, Verify, VerifySnapshotError};

/// What one step copies.
const STRIDE: usize = 1 << 20;

/// The reason why snapshots were not merged. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeSnapshotError {
    /// There is nothing to merge.
    #[error("snapshot {name} is full already")]
    Full {
        /// The snapshot.
        name: SnapshotName,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] SnapshotStoreError),
    /// One of the snapshots is not what was saved.
    #[error(transparent)]
    Verify(#[from] VerifySnapshotError),
    /// The base or a drive could not be copied.
    #[error("failed to copy a file of snapshot {name}")]
    Copy {
        /// The snapshot.
        name: SnapshotName,
        /// Why.
        source: StageDriveError,
    },
    /// The changes could not be written over the copy.
    #[error("failed to write the changes of snapshot {name} over its base")]
    Overlay {
        /// The snapshot.
        name: SnapshotName,
        /// What the system said.
        source: io::Error,
    },
}

impl MergeSnapshotError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "SNAPSHOT_IS_FULL",
            Self::Store(error) => error.code(),
            Self::Verify(error) => error.code(),
            Self::Copy { .. } | Self::Overlay { .. } => "SNAPSHOT_MERGE_FAILED",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Full { .. } => None,
            Self::Store(error) => error.hint(),
            Self::Verify(error) => error.hint(),
            Self::Copy { source, .. } => source.hint(),
            Self::Overlay { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("free space where the snapshots are".to_owned())
            }
            Self::Overlay { .. } => None,
        }
    }
}

impl SnapshotStore {
    /// Makes the differential snapshot `name` and all that it is built on into the full snapshot
    /// `merged`: the same state of the guest, which can be loaded by itself. The others stay as they
    /// are. The copy of the full snapshot's memory shares its blocks where the file system can do
    /// that. Blocks.
    ///
    /// # Errors
    /// `SNAPSHOT_IS_FULL`, `SNAPSHOT_EXISTS`, `SNAPSHOT_TAMPERED`, `SNAPSHOT_MERGE_FAILED`. Nothing
    /// is left then.
    pub fn merge(
        &self,
        name: &SnapshotName,
        merged: &SnapshotName,
    ) -> Result<Snapshot, MergeSnapshotError> {
        self.merge_with(name, merged, None)
    }

    /// As [`merge`](Self::merge), and signs the full snapshot before it has a name. What it is made of need not be signed:
    /// who signs vouches for it.
    ///
    /// # Errors
    /// As [`merge`](Self::merge).
    pub fn merge_and_sign(
        &self,
        name: &SnapshotName,
        merged: &SnapshotName,
        key: SigningKey,
    ) -> Result<Snapshot, MergeSnapshotError> {
        self.merge_with(name, merged, Some(key))
    }

    fn merge_with(
        &self,
        name: &SnapshotName,
        merged: &SnapshotName,
        key: Option<SigningKey>,
    ) -> Result<Snapshot, MergeSnapshotError> {
        let chain = self.chain(name)?;
        let Some((base, changes)) = chain.split_last() else {
            unreachable!("a chain begins with the snapshot that was asked for");
        };
        let Some(newest) = changes.first() else {
            return Err(MergeSnapshotError::Full { name: name.clone() });
        };
        let held = chain.iter().map(|snapshot| self.hold(snapshot));
        let _held = held.collect::<Result<Vec<_>, _>>()?;
        for snapshot in &chain {
            snapshot.verify(Verify::Changed)?;
        }
        let draft = self.draft(merged)?.signed_by(key);
        let copy = |from: &Path, to: &Path| {
            stage_drive(from, to)
                .map(drop)
                .map_err(|source| MergeSnapshotError::Copy { name: name.clone(), source })
        };
        let memory = draft.path().join(files::MEMORY);
        copy(&base.memory_path(), &memory)?;
        for change in changes.iter().rev() {
            overlay(&change.memory_path(), &memory).map_err(|source| {
                MergeSnapshotError::Overlay { name: change.name().clone(), source }
            })?;
        }
        copy(&newest.vmstate_path(), &draft.path().join(files::VMSTATE))?;
        let mut manifest = newest.manifest().clone();
        draft
            .make_drives_dir()
            .map_err(|source| MergeSnapshotError::Overlay { name: name.clone(), source })?;
        for drive in &manifest.drives {
            if drive.content == DriveContent::Captured {
                copy(&newest.drive_path(drive), &draft.drive_path(drive))?;
            }
        }
        manifest.name = merged.clone();
        manifest.kind = SnapshotKind::Full;
        manifest.parent = None;
        Ok(draft.publish(manifest)?)
    }
}

/// Writes the data of the sparse file `change` to the same places of `memory`, which must have its
/// size. Pages that `change` does not hold stay.
fn overlay(change: &Path, memory: &Path) -> io::Result<()> {
    let change = File::open(change)?;
    let memory = OpenOptions::new().write(true).open(memory)?;
    let size = change.metadata()?.len();
    if memory.metadata()?.len() != size {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the two memories have different sizes",
        ));
    }
    let mut buffer = vec![0; STRIDE];
    let mut extents = Extents::of(change.as_fd(), size);
    while let Some(extent) = extents.next()? {
        let mut position = extent.start;
        while position < extent.end {
            let length = usize::try_from(extent.end - position).unwrap_or(STRIDE).min(STRIDE);
            read_exact_at(change.as_fd(), &mut buffer[..length], position)?;
            write_all_at(memory.as_fd(), &buffer[..length], position)?;
            position += length as u64;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
