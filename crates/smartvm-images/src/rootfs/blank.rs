//! A file system without files.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::ext4::make_empty;
use super::size::bytes_of_mib;
use crate::draft_dir::DraftDir;
use crate::host_tool::{HostToolError, HostTools};
use crate::image_lock::{ImageLock, ImageLockError};

const IMAGE: &str = "image";

/// The reason why an empty root file system was not made.
#[derive(Debug, Error)]
#[error("failed to create root file system `{}`", path.display())]
pub struct CreateRootfsError {
    path: PathBuf,
    #[source]
    problem: Problem,
}

#[derive(Debug, Error)]
enum Problem {
    #[error("a size of {0} MiB is impossible")]
    Size(u64),
    #[error("the file cannot be made")]
    File(#[source] io::Error),
    #[error(transparent)]
    Tool(#[from] HostToolError),
    #[error(transparent)]
    Lock(#[from] ImageLockError),
}

impl CreateRootfsError {
    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match &self.problem {
            Problem::Lock(error @ ImageLockError::InUse { .. }) => error.code(),
            _ => "ROOTFS_CREATE_FAILED",
        }
    }

    /// What the person who asked for it can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match &self.problem {
            Problem::Size(_) => Some("give between 1 MiB and 16 TiB".to_owned()),
            Problem::File(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Some("remove it first, or choose another name".to_owned())
            }
            Problem::File(_) => None,
            Problem::Tool(error) => error.hint(),
            Problem::Lock(error) => error.hint(),
        }
    }
}

/// Makes an empty ext4 file system of `size_mib` MiB at `path`, which must not exist and appears when
/// it is whole. Returns the path, absolute.
///
/// The file is sparse: it takes what ext4 itself needs, some hundredths of its size. It belongs to
/// this process' user with mode 0600. `mkfs.ext4` is run. Blocks until it is done.
///
/// # Errors
/// `ROOTFS_CREATE_FAILED`: `path` exists or cannot be written, the size is impossible or too small
/// for ext4, or `mkfs.ext4` is missing or fails. Nothing is left then.
pub fn create_blank_rootfs(
    path: &Path,
    size_mib: u64,
    tools: &HostTools,
) -> Result<PathBuf, CreateRootfsError> {
    let create = || {
        let size = bytes_of_mib(size_mib).ok_or(Problem::Size(size_mib))?;
        let draft = DraftDir::beside(path).map_err(Problem::File)?;
        let target = draft.target().to_owned();
        if target.exists() {
            drop(ImageLock::to_write(&target, "a file system that is being made there")?);
            return Err(Problem::File(io::ErrorKind::AlreadyExists.into()));
        }
        let image = draft.path().join(IMAGE);
        new_file(&image, size).map_err(Problem::File)?;
        make_empty(&image, tools)?;
        draft.publish_file(IMAGE).map_err(Problem::File)?;
        Ok(target)
    };
    create().map_err(|problem| CreateRootfsError { path: path.to_owned(), problem })
}

/// A private file of one hole.
pub(super) fn new_file(path: &Path, size: u64) -> io::Result<()> {
    use fs_err::os::unix::fs::OpenOptionsExt as _;
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path)?.set_len(size)
}

#[cfg(test)]
mod tests;
