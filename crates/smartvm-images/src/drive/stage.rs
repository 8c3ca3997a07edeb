//! Giving a VM a drive of its own, made from another file.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use serde::Serialize;
use thiserror::Error;

use super::sparse_copy::sparse_copy;
use crate::regular_file::{ReadFileError, open_regular};

/// How a drive was staged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StagingMethod {
    /// The copy shares its blocks with the original until one of them is changed.
    Reflink,
    /// The data was copied, holes were not.
    Copy,
}

/// A staged drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StagedDrive {
    /// How it was made.
    pub method: StagingMethod,
    /// The bytes that were written; zero for a reflink.
    pub bytes_copied: u64,
    /// The size of the drive in bytes, holes included.
    pub size: u64,
}

/// The reason why a drive was not staged.
#[derive(Debug, Error)]
#[error("failed to stage drive `{}` as `{}`", source_path.display(), target_path.display())]
pub struct StageDriveError {
    source_path: PathBuf,
    target_path: PathBuf,
    #[source]
    problem: Problem,
}

#[derive(Debug, Error)]
enum Problem {
    #[error("the drive cannot be read")]
    Source(#[source] ReadFileError),
    #[error("the target cannot be created")]
    Target(#[source] io::Error),
    #[error("the copy needs {needed} bytes and {available} are free")]
    NoSpace { needed: u64, available: u64 },
    #[error("the data cannot be copied")]
    Copy(#[source] io::Error),
}

impl StageDriveError {
    /// The stable code of the error.
    pub fn code(&self) -> &'static str {
        "DRIVE_STAGING_FAILED"
    }

    /// What the owner of the drive can do.
    pub fn hint(&self) -> Option<String> {
        let hint = match &self.problem {
            Problem::Source(ReadFileError::NotRegular { kind: "a directory", .. }) => {
                "a drive is an image file: make one of the directory with mkfs.ext4 -d or mksquashfs"
            }
            Problem::Source(ReadFileError::NotRegular { .. }) => {
                "only image files can be copied: attach a device as it is, without `ephemeral`"
            }
            Problem::NoSpace { .. } => {
                "free space where the VMs' files are, or choose another place"
            }
            Problem::Copy(error) if error.kind() == io::ErrorKind::StorageFull => {
                "free space where the VMs' files are, or choose another place"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// Makes a private copy of the image file `source` at `target`, which must not exist.
///
/// The copy shares blocks with the original where the file system can do that (XFS, btrfs and
/// others); else the data is copied and holes stay holes. It belongs to this process' user with mode
/// 0600, whatever the original's is. Blocks until it is done.
///
/// # Errors
/// When `source` is not a regular file or cannot be read, `target` exists or cannot be created, or
/// there is less free space than `source` occupies. A partial copy is removed.
pub fn stage_drive(source: &Path, target: &Path) -> Result<StagedDrive, StageDriveError> {
    stage(source, target).map_err(|problem| StageDriveError {
        source_path: source.to_owned(),
        target_path: target.to_owned(),
        problem,
    })
}

fn stage(source: &Path, target: &Path) -> Result<StagedDrive, Problem> {
    let original = open_regular(source).map_err(Problem::Source)?;
    let metadata = original.metadata().map_err(Problem::Copy)?;
    let size = metadata.len();
    let draft = Draft::create(target).map_err(|error| Problem::Target(error.into()))?;
    let staged = match rustix::fs::ioctl_ficlone(&draft.file, &original) {
        Ok(()) => StagedDrive { method: StagingMethod::Reflink, bytes_copied: 0, size },
        Err(Errno::NOSPC) => return Err(Problem::Copy(Errno::NOSPC.into())),
        // Other file systems, another device, a file that forbids it: all of them can be copied.
        Err(_) => {
            check_space(&draft, metadata.blocks().saturating_mul(512))?;
            let bytes_copied =
                sparse_copy(original.as_fd(), draft.file.as_fd(), size).map_err(Problem::Copy)?;
            StagedDrive { method: StagingMethod::Copy, bytes_copied, size }
        }
    };
    draft.keep();
    Ok(staged)
}

fn check_space(draft: &Draft<'_>, needed: u64) -> Result<(), Problem> {
    let volume = rustix::fs::fstatvfs(&draft.file).map_err(|error| Problem::Copy(error.into()))?;
    let available = volume.f_bavail.saturating_mul(volume.f_frsize);
    if needed > available { Err(Problem::NoSpace { needed, available }) } else { Ok(()) }
}

/// A new file that is removed unless it is kept.
struct Draft<'a> {
    file: OwnedFd,
    path: Option<&'a Path>,
}

impl<'a> Draft<'a> {
    fn create(path: &'a Path) -> Result<Self, Errno> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(Self { file, path: Some(path) })
    }

    fn keep(mut self) {
        self.path = None;
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.path
            && let Err(error) = rustix::fs::unlinkat(CWD, path, rustix::fs::AtFlags::empty())
        {
            tracing::warn!(path = %path.display(), %error, "left a partial copy of a drive behind");
        }
    }
}

#[cfg(test)]
mod tests;
