//! Making a root file system of a directory, an archive or an image.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use super::archive::{LayOutError, UnpackError, lay_out, unpack};
use super::blank::new_file;
use super::directory::survey;
use super::ext4::{Fill, FillError};
use super::image_kind::ImageKind;
use super::lost::Lost;
use super::resize::{ResizeProblem, resize_in_place};
use super::source::{Compression, OpenSourceError, Source};
use super::squashfs;
use crate::base_image::RootfsType;
use crate::draft_dir::DraftDir;
use crate::drive::{StageDriveError, stage_drive};
use crate::free_space::NoSpaceLeft;
use crate::host_tool::{HostToolError, HostTools};
use crate::image_lock::{ImageLock, ImageLockError};

const IMAGE: &str = "image";
/// What others are told who want the image meanwhile.
const BUILDING: &str = "a build of a root file system";

/// A root file system to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRootfs {
    /// Where its files come from: a directory; a tar archive, plain or compressed with gzip, zstd or
    /// xz; or an image that has the wanted type already.
    pub source: PathBuf,
    /// What it is to be.
    pub rootfs_type: RootfsType,
    /// The size of an ext4 image in MiB, at least what its files need. Default: what they need and a
    /// tenth of it free, or the size that an image has. A squashfs is never larger than its files.
    pub size_mib: Option<u64>,
    /// Where the host's programs are.
    pub tools: HostTools,
}

/// A root file system that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuiltRootfs {
    /// The image.
    pub path: PathBuf,
    /// What it is.
    pub rootfs_type: RootfsType,
    /// Its size in bytes, holes included.
    pub size: u64,
    /// What of the source its type cannot keep, in words. Not told: a squashfs made of an archive has
    /// the time of its making at its root directory, and squashfs has whole seconds.
    pub lost: Vec<String>,
}

/// The reason why a root file system was not made.
#[derive(Debug, Error)]
#[error("failed to make a root file system of `{}`", source_path.display())]
pub struct BuildRootfsError {
    source_path: PathBuf,
    #[source]
    problem: Problem,
}

#[derive(Debug, Error)]
enum Problem {
    #[error(transparent)]
    Open(#[from] OpenSourceError),
    #[error("it is {found} and {wanted} was asked for")]
    OtherType { found: RootfsType, wanted: RootfsType },
    #[error("only ext4 can have a size, and squashfs was asked for")]
    SizeOfSquashfs,
    #[error("a size of {0} MiB is impossible")]
    ImpossibleSize(u64),
    #[error("the directory cannot be read")]
    Survey(#[source] io::Error),
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    #[error("its files cannot be put into ext4")]
    LayOut(#[source] LayOutError),
    #[error("ext4 cannot be made of its files")]
    Fill(#[source] FillError),
    #[error("squashfs cannot be made of its files")]
    Squashfs(#[source] HostToolError),
    #[error(transparent)]
    Copy(#[from] StageDriveError),
    #[error(transparent)]
    Resize(#[from] ResizeProblem),
    #[error("the image cannot be written")]
    Target(#[source] io::Error),
    #[error(transparent)]
    Lock(#[from] ImageLockError),
}

impl BuildRootfsError {
    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.problem {
            Problem::Open(_) | Problem::Survey(_) => "ROOTFS_SOURCE_UNREADABLE",
            Problem::OtherType { .. } => "ROOTFS_TYPE_MISMATCH",
            Problem::Lock(ref error @ ImageLockError::InUse { .. }) => error.code(),
            _ => "ROOTFS_CREATE_FAILED",
        }
    }

    /// What the person who asked for it can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match &self.problem {
            Problem::OtherType { found, .. } => {
                return Some(format!("ask for {found}, or give a directory or an archive"));
            }
            Problem::Open(OpenSourceError::Unknown { .. }) => {
                "give a directory, a tar archive (plain, gzip, zstd, xz), or an ext4 or squashfs image"
            }
            Problem::SizeOfSquashfs => "leave the size out",
            Problem::Fill(FillError::Full { .. }) => "give a larger size, or none",
            Problem::Fill(FillError::Tool(error)) | Problem::Squashfs(error) => {
                return error.hint();
            }
            Problem::Copy(error) => return error.hint(),
            Problem::Resize(error) => return error.hint(),
            Problem::Lock(error) => return error.hint(),
            Problem::Target(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                "remove it first, or choose another place"
            }
            Problem::Unpack(error) if error.is_about_space() => NoSpaceLeft::HINT,
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// Makes a root file system at `target`, which must not exist and appears when it is whole.
///
/// Owners, modes, extended attributes, device nodes, hard and symbolic links and times of the source
/// survive, without being root: nothing is unpacked or mounted. What a type cannot keep is told in
/// [`BuiltRootfs::lost`]. `mkfs.ext4`, `debugfs` and `e2fsck`, or `mksquashfs`, are run. Blocks until
/// it is done; a process that is killed meanwhile leaves a hidden directory beside `target`, which
/// the next call for the same target removes.
///
/// # Errors
/// When the source cannot be read or is damaged, an archive leaves its root directory, an image has
/// another type, the files do not fit, a program is missing or fails, or `target` exists.
pub fn build_rootfs(request: &BuildRootfs, target: &Path) -> Result<BuiltRootfs, BuildRootfsError> {
    let make = || {
        let draft = DraftDir::beside(target).map_err(Problem::Target)?;
        if draft.target().exists() {
            drop(ImageLock::to_write(draft.target(), BUILDING)?);
            return Err(Problem::Target(io::ErrorKind::AlreadyExists.into()));
        }
        let path = draft.target().to_owned();
        let (size, lost) = make_image(request, &draft.path().join(IMAGE), draft.path())?;
        draft.publish_file(IMAGE).map_err(Problem::Target)?;
        Ok(BuiltRootfs { path, rootfs_type: request.rootfs_type, size, lost })
    };
    make().map_err(|problem| BuildRootfsError::new(request, problem))
}

/// Makes the image `image`, a new file; what is needed for the time being goes into `scratch`.
pub(crate) fn build_image(
    request: &BuildRootfs,
    image: &Path,
    scratch: &Path,
) -> Result<(u64, Vec<String>), BuildRootfsError> {
    make_image(request, image, scratch).map_err(|problem| BuildRootfsError::new(request, problem))
}

impl BuildRootfsError {
    fn new(request: &BuildRootfs, problem: Problem) -> Self {
        Self { source_path: request.source.clone(), problem }
    }
}

fn make_image(
    request: &BuildRootfs,
    image: &Path,
    scratch: &Path,
) -> Result<(u64, Vec<String>), Problem> {
    let size = size_in_bytes(request)?;
    let mut lost = Lost::default();
    let size = match Source::open(&request.source)? {
        Source::Image(kind) => copy_image(request, kind, size, image)?,
        Source::Directory => match request.rootfs_type {
            RootfsType::Ext4 => {
                let fill = survey(&request.source, &mut lost).map_err(Problem::Survey)?;
                fill.make(image, size, scratch, &request.tools).map_err(Problem::Fill)?
            }
            RootfsType::Squashfs => {
                new_file(image, 0).map_err(Problem::Target)?;
                squashfs::survey(&request.source, &mut lost).map_err(Problem::Survey)?;
                let made = squashfs::of_directory(&request.source, image, &request.tools);
                lost.extend(made.map_err(Problem::Squashfs)?);
                size_of(image)?
            }
        },
        Source::Archive(file, compression) => {
            of_archive(request, file, compression, size, image, scratch, &mut lost)?
        }
    };
    Ok((size, lost.into_sentences()))
}

fn of_archive(
    request: &BuildRootfs,
    file: fs_err::File,
    compression: Compression,
    size: Option<u64>,
    image: &Path,
    scratch: &Path,
    lost: &mut Lost,
) -> Result<u64, Problem> {
    let contents = scratch.join("contents");
    fs_err::create_dir(&contents).map_err(Problem::Target)?;
    let archive = compression.decompress(file).map_err(Problem::Survey)?;
    let tree = unpack(archive, &contents, lost)?;
    match request.rootfs_type {
        RootfsType::Ext4 => {
            let laid_out = lay_out(&tree, scratch).map_err(Problem::LayOut)?;
            let fill = Fill {
                dir: &laid_out.dir,
                script: laid_out.script,
                inodes: tree.inodes() as u64,
                bytes: tree.content_bytes(),
            };
            fill.make(image, size, scratch, &request.tools).map_err(Problem::Fill)
        }
        RootfsType::Squashfs => {
            new_file(image, 0).map_err(Problem::Target)?;
            squashfs::of_tree(&tree, image, &request.tools, lost).map_err(Problem::Squashfs)?;
            size_of(image)
        }
    }
}

fn copy_image(
    request: &BuildRootfs,
    kind: ImageKind,
    size: Option<u64>,
    image: &Path,
) -> Result<u64, Problem> {
    let wanted = request.rootfs_type;
    if kind.rootfs_type != wanted {
        return Err(Problem::OtherType { found: kind.rootfs_type, wanted });
    }
    let _reading = ImageLock::to_read(&request.source, BUILDING)?;
    stage_drive(&request.source, image)?;
    match size {
        Some(size) => Ok(resize_in_place(image, size, &request.tools)?),
        None => size_of(image),
    }
}

fn size_in_bytes(request: &BuildRootfs) -> Result<Option<u64>, Problem> {
    let Some(size_mib) = request.size_mib else { return Ok(None) };
    if request.rootfs_type == RootfsType::Squashfs {
        return Err(Problem::SizeOfSquashfs);
    }
    super::size::bytes_of_mib(size_mib).map(Some).ok_or(Problem::ImpossibleSize(size_mib))
}

fn size_of(image: &Path) -> Result<u64, Problem> {
    Ok(fs_err::metadata(image).map_err(Problem::Target)?.len())
}
