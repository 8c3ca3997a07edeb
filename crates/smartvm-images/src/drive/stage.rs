//! Giving a VM a drive of its own, made from another file.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::Serialize;
use smartvm_dir::FileAt;
use thiserror::Error;

use super::sparse_copy::sparse_copy;
use crate::free_space::FreeSpace;
use crate::regular_file::{ReadFileError, open_regular_at};

/// How many drives are copied at once: more do not make a disk or memory faster.
const AT_ONCE: usize = 4;

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
    #[error("the copies so far need {needed} bytes and {available} are free")]
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

/// A private copy to be made.
#[derive(Debug)]
pub struct StageDrive {
    /// The image file: a path, or a file in a directory that is open, where links are not followed.
    pub source: FileAt,
    /// The copy, which must not exist.
    pub target: FileAt,
}

/// Makes a private copy of the image file `source` at `target`, which must not exist.
///
/// The copy shares blocks with the original where the file system can do that (XFS, btrfs and
/// others); else the data is copied and holes stay holes. It belongs to this process' user with mode
/// 0600, whatever the original's is. The original is opened for reading alone. Blocks until it is
/// done.
///
/// # Errors
/// When `source` is not a regular file or cannot be read, `target` exists or cannot be created, or
/// there is less free space than `source` occupies. A partial copy is removed.
pub fn stage_drive(source: &Path, target: &Path) -> Result<StagedDrive, StageDriveError> {
    let drive = StageDrive { source: source.into(), target: target.into() };
    let staged = stage_drives(std::slice::from_ref(&drive))?;
    Ok(staged.into_iter().next().expect("one drive was asked for, and one is what comes back"))
}

/// Makes private copies as [`stage_drive`] does, several at once where data must be copied: all of
/// them, or none.
///
/// # Errors
/// As [`stage_drive`]; too little space is found for all together before any data is copied. When
/// one fails, the others are removed too.
pub fn stage_drives(drives: &[StageDrive]) -> Result<Vec<StagedDrive>, StageDriveError> {
    GrowingDrives(begin(drives, Room::ForData)?).copy()
}

/// Begins the same for copies that a guest will write to: it can fill every hole. So each must fit with its
/// whole length, in what is free, and where the copies are in memory, in the memory that is. Copies that
/// share their blocks count for nothing. No data was copied yet when this returns, so that others can be
/// asked whether they let it be.
///
/// # Errors
/// As [`stage_drives`].
pub fn begin_growing_drives(drives: &[StageDrive]) -> Result<GrowingDrives<'_>, StageDriveError> {
    begin(drives, Room::ForLength).map(GrowingDrives)
}

/// Private copies that are to be made. Dropping it removes what was begun.
#[derive(Debug)]
#[must_use = "dropping it removes the copies"]
pub struct GrowingDrives<'a>(Vec<Staging<'a>>);

/// How large one of them can become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Growth {
    /// The copy, which exists.
    pub target: PathBuf,
    /// The length of the drive, holes included.
    pub size: u64,
    /// Whether it shares its blocks with the original, until one of them is changed.
    pub is_shared: bool,
}

impl GrowingDrives<'_> {
    /// What each of them may come to take.
    pub fn growth(&self) -> impl Iterator<Item = Growth> + '_ {
        self.0.iter().map(|staging| Growth {
            target: staging.drive.target.path().to_owned(),
            size: staging.size,
            is_shared: staging.needed.is_none(),
        })
    }

    /// Makes them: all, or none. Blocks until that is done.
    ///
    /// # Errors
    /// When the data of one cannot be copied.
    pub fn copy(self) -> Result<Vec<StagedDrive>, StageDriveError> {
        copy_all(&self.0)?;
        Ok(self.0.into_iter().map(Staging::keep).collect())
    }
}

/// How much room a copy must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// For what is in it.
    ForData,
    /// For what a guest can make of it.
    ForLength,
}

fn begin(drives: &[StageDrive], room: Room) -> Result<Vec<Staging<'_>>, StageDriveError> {
    let mut begun = Vec::with_capacity(drives.len());
    for drive in drives {
        begun.push(Staging::begin(drive, room).map_err(|problem| failed(drive, problem))?);
    }
    check_space(&begun)?;
    Ok(begun)
}

fn failed(drive: &StageDrive, problem: Problem) -> StageDriveError {
    let (source, target) = (drive.source.path().to_owned(), drive.target.path().to_owned());
    StageDriveError { source_path: source, target_path: target, problem }
}

/// A copy that exists and may have no data yet.
#[derive(Debug)]
struct Staging<'a> {
    drive: &'a StageDrive,
    original: fs_err::File,
    draft: Draft<'a>,
    size: u64,
    /// How many bytes the copy needs at most; none when the blocks are shared.
    needed: Option<u64>,
    copied: OnceLock<u64>,
}

impl<'a> Staging<'a> {
    fn begin(drive: &'a StageDrive, room: Room) -> Result<Self, Problem> {
        let original = open_regular_at(&drive.source).map_err(Problem::Source)?;
        let metadata = original.metadata().map_err(Problem::Copy)?;
        let draft = Draft::create(&drive.target).map_err(Problem::Target)?;
        let needed = match rustix::fs::ioctl_ficlone(&draft.file, &original) {
            Ok(()) => None,
            Err(Errno::NOSPC) => return Err(Problem::Copy(Errno::NOSPC.into())),
            // Other file systems, another device, a file that forbids it: all of them can be copied.
            Err(_) if room == Room::ForLength => Some(metadata.len()),
            Err(_) => Some(metadata.blocks().saturating_mul(512)),
        };
        let size = metadata.len();
        Ok(Self { drive, original, draft, size, needed, copied: OnceLock::new() })
    }

    fn copy(&self) -> Result<(), StageDriveError> {
        let copied = sparse_copy(self.original.as_fd(), self.draft.file.as_fd(), self.size);
        let copied = copied.map_err(|error| failed(self.drive, Problem::Copy(error)))?;
        let _ = self.copied.set(copied);
        Ok(())
    }

    fn keep(self) -> StagedDrive {
        self.draft.keep();
        let method =
            if self.needed.is_some() { StagingMethod::Copy } else { StagingMethod::Reflink };
        let bytes_copied = self.copied.get().copied().unwrap_or_default();
        StagedDrive { method, bytes_copied, size: self.size }
    }
}

/// Sees that the copies fit, on each file system all of them together.
fn check_space(begun: &[Staging<'_>]) -> Result<(), StageDriveError> {
    let mut needed_on: BTreeMap<u64, u64> = BTreeMap::new();
    for staging in begun {
        let Some(needed) = staging.needed else { continue };
        let problem = |problem| failed(staging.drive, problem);
        let unknown = |error: Errno| problem(Problem::Copy(error.into()));
        let device = rustix::fs::fstat(&staging.draft.file).map_err(unknown)?.st_dev;
        let unknown = |error: io::Error| problem(Problem::Copy(error));
        let available = FreeSpace::at(&staging.draft.file).map_err(unknown)?.free;
        let sum = needed_on.entry(device).or_default();
        *sum = sum.saturating_add(needed);
        if *sum > available {
            return Err(problem(Problem::NoSpace { needed: *sum, available }));
        }
    }
    Ok(())
}

/// Copies what is not shared, a few at a time; after a failure nothing more is begun.
fn copy_all(begun: &[Staging<'_>]) -> Result<(), StageDriveError> {
    let waiting: Vec<_> = begun.iter().filter(|staging| staging.needed.is_some()).collect();
    if let [only] = waiting[..] {
        return only.copy();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(staging) = waiting.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = staging.copy() {
                next.store(waiting.len(), Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..waiting.len().min(AT_ONCE)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

/// A new file that is removed unless it is kept.
#[derive(Debug)]
struct Draft<'a> {
    file: fs_err::File,
    target: Option<&'a FileAt>,
}

impl<'a> Draft<'a> {
    fn create(target: &'a FileAt) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let file = target.open(flags, Mode::RUSR | Mode::WUSR)?;
        Ok(Self { file, target: Some(target) })
    }

    fn keep(mut self) {
        self.target = None;
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if let Some(target) = self.target
            && let Err(error) = target.remove()
        {
            tracing::warn!(%error, "left a partial copy of a drive behind");
        }
    }
}

#[cfg(test)]
mod tests;
