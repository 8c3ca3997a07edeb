//! Copies of root file systems.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::draft_dir::DraftDir;
use crate::drive::{StageDriveError, StagedDrive, stage_drive};
use crate::image_lock::{ImageLock, ImageLockError};

const IMAGE: &str = "image";
/// What others are told who want the image meanwhile.
const CLONING: &str = "a clone that is being made of it";

/// The reason why a root file system was not copied.
#[derive(Debug, Error)]
#[error("failed to clone root file system `{}` as `{}`", source_path.display(), target_path.display())]
pub struct CloneRootfsError {
    source_path: PathBuf,
    target_path: PathBuf,
    #[source]
    problem: Box<Problem>,
}

#[derive(Debug, Error)]
enum Problem {
    #[error("the target cannot be written")]
    Target(#[source] io::Error),
    #[error(transparent)]
    Copy(#[from] StageDriveError),
    #[error(transparent)]
    Lock(#[from] ImageLockError),
}

impl CloneRootfsError {
    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match &*self.problem {
            Problem::Lock(error @ ImageLockError::InUse { .. }) => error.code(),
            _ => "ROOTFS_CLONE_FAILED",
        }
    }

    /// What the person who asked for it can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match &*self.problem {
            Problem::Target(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Some("remove it first, or choose another name".to_owned())
            }
            Problem::Target(_) => None,
            Problem::Copy(error) => error.hint(),
            Problem::Lock(error) => error.hint(),
        }
    }
}

/// Copies the image `source` to `target`, which must not exist and appears when it is whole.
///
/// The two share their blocks where the file system can do that; else the data is copied, and holes
/// stay holes. The copy belongs to this process' user with mode 0600. Blocks until it is done.
///
/// # Errors
/// `IMAGE_IN_USE` while a VM writes to `source`, or uses what `target` names. `ROOTFS_CLONE_FAILED`: `source` is no regular file or cannot be read, `target` exists or cannot be
/// written, or there is too little space. Nothing is left then.
pub fn clone_rootfs(source: &Path, target: &Path) -> Result<StagedDrive, CloneRootfsError> {
    let copy = || {
        let draft = DraftDir::beside(target).map_err(Problem::Target)?;
        if draft.target().exists() {
            // Whoever uses it is named, so that nobody removes it to make place.
            drop(ImageLock::to_write(draft.target(), CLONING)?);
            return Err(Problem::Target(io::ErrorKind::AlreadyExists.into()));
        }
        // What is written to meanwhile would be copied in the middle of it.
        let _reading = match ImageLock::to_read(source, CLONING) {
            // What is no file has an error of its own.
            Err(ImageLockError::Io { .. }) => None,
            other => Some(other?),
        };
        let copied = stage_drive(source, &draft.path().join(IMAGE))?;
        draft.publish_file(IMAGE).map_err(Problem::Target)?;
        Ok(copied)
    };
    copy().map_err(|problem| CloneRootfsError {
        source_path: source.to_owned(),
        target_path: target.to_owned(),
        problem: Box::new(problem),
    })
}

#[cfg(test)]
mod tests;
