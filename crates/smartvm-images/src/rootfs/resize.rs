//! Making an ext4 image larger than its content, or as small as that.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use super::ext4::{Ext4Superblock, ParseSuperblockError, check, repair};
use super::size::bytes_of_mib;
use crate::draft_dir::DraftDir;
use crate::drive::{StageDriveError, stage_drive};
use crate::host_tool::{HostToolError, HostTools, Tool, ToolCall};
use crate::image_lock::{ImageLock, ImageLockError};
use crate::regular_file::{ReadFileError, open_regular};

const IMAGE: &str = "image";

/// The size that an image is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResizeTo {
    /// This many MiB, at least what it has.
    Mib(u64),
    /// As small as its files allow.
    Minimum,
}

/// An image that was resized.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResizedRootfs {
    /// The image.
    pub path: PathBuf,
    /// Its size before, in bytes.
    pub former_size: u64,
    /// Its size, in bytes.
    pub size: u64,
}

/// The reason why an image was not resized.
#[derive(Debug, Error)]
#[error("failed to resize root file system `{}`", path.display())]
pub struct ResizeRootfsError {
    path: PathBuf,
    #[source]
    problem: ResizeProblem,
}

#[derive(Debug, Error)]
pub(super) enum ResizeProblem {
    #[error(transparent)]
    Read(#[from] ReadFileError),
    #[error("it cannot be resized")]
    NotExt4(#[source] ParseSuperblockError),
    #[error("a size of {0} MiB is impossible")]
    Size(u64),
    #[error("it has {size} bytes, more than the {wanted} that were asked for")]
    Shrinks { size: u64, wanted: u64 },
    #[error(transparent)]
    Copy(#[from] StageDriveError),
    #[error(transparent)]
    Tool(#[from] HostToolError),
    #[error("its file cannot be written")]
    Io(#[source] io::Error),
    #[error(transparent)]
    Lock(#[from] ImageLockError),
}

impl ResizeProblem {
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Shrinks { .. } => {
                Some("an image is not cut: ask for a larger size, or for the minimum".to_owned())
            }
            Self::NotExt4(ParseSuperblockError::NotExt4) => {
                Some("only ext4 images have a size of their own".to_owned())
            }
            Self::Copy(error) => error.hint(),
            Self::Tool(error) => error.hint(),
            Self::Lock(error) => error.hint(),
            _ => None,
        }
    }
}

impl ResizeRootfsError {
    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.problem {
            ResizeProblem::Shrinks { .. } => "ROOTFS_SHRINK_REFUSED",
            ResizeProblem::Lock(ref error @ ImageLockError::InUse { .. }) => error.code(),
            _ => "ROOTFS_RESIZE_FAILED",
        }
    }

    /// What the owner of the image can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        self.problem.hint()
    }
}

/// Gives the ext4 image `path` another size. It is refused while a VM uses it, which would keep the former file.
///
/// The work is done on a copy, shared where the file system can do that, which takes the image's
/// place when it is whole and checked; a journal that was left is replayed there. Mode and owner
/// stay. `e2fsck` and `resize2fs` are run. Blocks until it is done.
///
/// # Errors
/// `IMAGE_IN_USE` while a VM uses it. `ROOTFS_SHRINK_REFUSED` for a size below what it has: cutting into free space is only done by
/// [`ResizeTo::Minimum`]. `ROOTFS_RESIZE_FAILED`: it is no ext4 image, is damaged, cannot be copied,
/// or a program is missing or fails. The image is as it was then.
pub fn resize_rootfs(
    path: &Path,
    to: ResizeTo,
    tools: &HostTools,
) -> Result<ResizedRootfs, ResizeRootfsError> {
    resize(path, to, tools).map_err(|problem| ResizeRootfsError { path: path.to_owned(), problem })
}

fn resize(path: &Path, to: ResizeTo, tools: &HostTools) -> Result<ResizedRootfs, ResizeProblem> {
    // A link is followed: what it leads to is replaced, not the link.
    let path = fs_err::canonicalize(path).map_err(ResizeProblem::Io)?;
    let former_size = size_of(&path)?;
    let _alone = ImageLock::to_write(&path, "a change of its size")?;
    if let ResizeTo::Mib(mib) = to {
        refuse_to_shrink(former_size, bytes_of_mib(mib).ok_or(ResizeProblem::Size(mib))?)?;
    }
    let draft = DraftDir::beside(&path).map_err(ResizeProblem::Io)?;
    let copy = draft.path().join(IMAGE);
    stage_drive(&path, &copy)?;
    let size = match to {
        ResizeTo::Mib(mib) => resize_in_place(&copy, mib << 20, tools)?,
        ResizeTo::Minimum => shrink_in_place(&copy, tools)?,
    };
    keep_owner_and_mode(&path, &copy).map_err(ResizeProblem::Io)?;
    draft.replace_file(IMAGE).map_err(ResizeProblem::Io)?;
    Ok(ResizedRootfs { path, former_size, size })
}

/// Makes an image larger, or leaves it; returns its size.
pub(super) fn resize_in_place(
    image: &Path,
    size: u64,
    tools: &HostTools,
) -> Result<u64, ResizeProblem> {
    refuse_to_shrink(size_of(image)?, size)?;
    repair(image, tools)?;
    let file = fs_err::OpenOptions::new().write(true).open(image).map_err(ResizeProblem::Io)?;
    file.set_len(size).map_err(ResizeProblem::Io)?;
    ToolCall::new(Tool::RESIZE2FS).image(image).run(tools)?;
    check(image, tools)?;
    Ok(size)
}

fn shrink_in_place(image: &Path, tools: &HostTools) -> Result<u64, ResizeProblem> {
    repair(image, tools)?;
    ToolCall::new(Tool::RESIZE2FS).arg("-M").image(image).run(tools)?;
    let size = size_of(image)?;
    // What is behind the file system now belongs to nothing.
    let file = fs_err::OpenOptions::new().write(true).open(image).map_err(ResizeProblem::Io)?;
    file.set_len(size).map_err(ResizeProblem::Io)?;
    check(image, tools)?;
    Ok(size)
}

fn refuse_to_shrink(size: u64, wanted: u64) -> Result<(), ResizeProblem> {
    if wanted < size { Err(ResizeProblem::Shrinks { size, wanted }) } else { Ok(()) }
}

/// What the superblock says.
fn size_of(image: &Path) -> Result<u64, ResizeProblem> {
    use std::io::Read as _;
    let mut start = Vec::new();
    let file = open_regular(image)?;
    let needed = Ext4Superblock::NEEDED as u64;
    file.take(needed).read_to_end(&mut start).map_err(ResizeProblem::Io)?;
    Ok(Ext4Superblock::parse(&start).map_err(ResizeProblem::NotExt4)?.size())
}

fn keep_owner_and_mode(from: &Path, to: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let (wanted, found) = (fs_err::metadata(from)?, fs_err::metadata(to)?);
    if (wanted.uid(), wanted.gid()) != (found.uid(), found.gid()) {
        fs_err::os::unix::fs::chown(to, Some(wanted.uid()), Some(wanted.gid()))?;
    }
    fs_err::set_permissions(to, wanted.permissions())
}

#[cfg(test)]
mod tests;
