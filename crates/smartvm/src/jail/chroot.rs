//! The directories of jails.
//!
//! ```text
//! <chroot base>/            0700, ours
//!   .lock                   held for the moment in which a jail's directory is made or removed
//!   firecracker/            0700, ours; named as the program is: the jailer wants it so
//!     <jail id>/            0700, ours
//!       lock                held by the owner as long as it lives
//!       lent                the files that were given to the VM for a time
//!       guard, guard.json   the program that the VM's processes live and die with
//!       root/               the VM's, all that it sees
//! ```
//!
//! They are on a disk, unlike the VMs' other directories: programs are started and devices are
//! opened in them, which a file system in memory forbids as a rule. So they outlive the host's
//! restart, and are swept by themselves.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use fs_err::File;
use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::{OFlags, StatVfsMountFlags, statvfs};
use smartvm_firecracker::end_jail;

use super::lent::give_back;
use crate::home::{UnsafeDirectory, ensure_private_dir};

/// The directory of all jails, checked.
#[derive(Debug, Clone)]
pub(crate) struct ChrootBase {
    path: PathBuf,
}

/// A jail's directory that is ours as long as this value lives. Dropping it removes nothing.
#[derive(Debug)]
pub(crate) struct HeldJail {
    _lock: File,
}

/// A directory that jails cannot be made in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChrootBaseError {
    /// It is open to others.
    #[error("the directory of jails is not safe")]
    Unsafe(#[source] UnsafeDirectory),
    /// Its file system forbids what a jail needs.
    #[error("the file system of {} is mounted {option}", path.display())]
    Forbids {
        /// The directory.
        path: PathBuf,
        /// `nodev` or `noexec`.
        option: &'static str,
    },
}

impl ChrootBase {
    /// Takes `path`, making what is missing with mode 0700.
    pub(crate) fn open(path: &Path) -> Result<Self, ChrootBaseError> {
        ensure_private_dir(path).map_err(ChrootBaseError::Unsafe)?;
        forbidding_option(path).map_or(Ok(()), |option| {
            Err(ChrootBaseError::Forbids { path: path.to_owned(), option })
        })?;
        // As the jailer does; its arguments must name the same directory.
        let path = fs_err::canonicalize(path).map_err(|source| {
            ChrootBaseError::Unsafe(UnsafeDirectory::Unusable { path: path.to_owned(), source })
        })?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes `dir`, a jail's directory below this one, and its root directory.
    ///
    /// Nothing may be there: what somebody else made could be a link to another place.
    pub(crate) fn make(&self, dir: &Path) -> io::Result<HeldJail> {
        let _whole = self.lock()?;
        let of_program = dir.parent().ok_or(io::ErrorKind::InvalidInput)?;
        ensure_private_dir(of_program).map_err(io::Error::other)?;
        let mut builder = std::fs::DirBuilder::new();
        builder.mode(0o700);
        builder.create(dir)?;
        let held = lock_jail(dir)?;
        builder.create(dir.join("root"))?;
        let lock = held.ok_or(io::ErrorKind::WouldBlock)?;
        Ok(HeldJail { _lock: lock })
    }

    /// Removes every jail whose owner died, and returns how many those were.
    pub(crate) fn sweep(&self) -> io::Result<usize> {
        let _whole = self.lock()?;
        let mut removed = 0;
        for of_program in directories(&self.path)? {
            for dir in directories(&of_program)? {
                if let Some(_held) = lock_jail(&dir)? {
                    remove_dir(&dir)?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    fn lock(&self) -> io::Result<File> {
        let file = open_lock(&self.path.join(".lock"))?;
        file.file().lock()?;
        Ok(file)
    }
}

/// Ends what runs in a jail, gives back what was lent to it and removes its directory; to be gone
/// already is success.
pub(super) fn remove_dir(dir: &Path) -> io::Result<()> {
    if end_jail(dir)? {
        tracing::info!(jail = %dir.display(), "ended a jail of a dead owner");
    }
    give_back(dir)?;
    // It does not follow links, whatever the VM may have made of its own directory.
    match fs_err::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// What of a jail the file system does not allow.
pub(crate) fn forbidding_option(path: &Path) -> Option<&'static str> {
    let flags = statvfs(path).ok()?.f_flag;
    if flags.contains(StatVfsMountFlags::NODEV) {
        Some("nodev")
    } else if flags.contains(StatVfsMountFlags::NOEXEC) {
        Some("noexec")
    } else {
        None
    }
}

/// Takes the lock of a jail if nobody holds it.
fn lock_jail(dir: &Path) -> io::Result<Option<File>> {
    let file = open_lock(&dir.join("lock"))?;
    match file.file().try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = fs_err::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options.open(path)
}

/// The directories in a directory, links to some left out.
fn directories(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && entry.metadata()?.uid() == 0 {
            found.push(entry.path());
        }
    }
    Ok(found)
}

impl ChrootBaseError {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Unsafe(_) => "UNSAFE_DIRECTORY",
            Self::Forbids { .. } => "JAIL_DIR_UNUSABLE",
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Unsafe(source) => source.hint(),
            Self::Forbids { .. } => Some(
                "name a directory for jails where devices and programs are allowed \
                 (`chrootBaseDir`)"
                    .to_owned(),
            ),
        }
    }
}
