//! A file that is written for long and never grows large.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, fchmod, fstat, openat, renameat};
use rustix::io::Errno;
use rustix::process::geteuid;

/// A private file that is appended to. When it would exceed its limit, it is renamed to the same
/// name with `.1` behind it, over what was there, and begun anew: so at most twice the limit is on
/// the disk.
///
/// Writing fails as the disk does, and may be tried again: what could not be written is lost, the
/// file stays usable.
#[derive(Debug)]
pub struct BoundedFile {
    path: PathBuf,
    /// The directory as it was when the file was opened, whatever becomes of its path.
    dir: OwnedFd,
    name: OsString,
    file: std::fs::File,
    size: u64,
    limit: u64,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenBoundedFileError {
    /// It could not be opened or made.
    #[error("cannot write {}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path names a directory, a symbolic link, a device, a pipe or nothing at all.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file belongs to somebody else, or has another name elsewhere.
    #[error("{} is not a file of our own", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
}

impl OpenBoundedFileError {
    /// A stable name of the kind of failure.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unusable { .. } => "OUTPUT_FILE_UNUSABLE",
            Self::NotAFile { .. } | Self::Foreign { .. } => "OUTPUT_FILE_UNSAFE",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unusable { .. } => None,
            Self::NotAFile { .. } | Self::Foreign { .. } => Some(
                "name a file that does not exist yet, in a directory that only you can write to"
                    .to_owned(),
            ),
        }
    }
}

impl BoundedFile {
    /// Opens the file at `path` to append to, or makes it, in a directory that exists. Its mode
    /// becomes 0600. A file that exceeds `limit` bytes already is renamed with the first write.
    ///
    /// # Errors
    /// When it cannot be opened; when it is a symbolic link or no regular file; when it belongs to
    /// another user or has a second hard link, which may be somebody's trap.
    pub fn open(path: &Path, limit: u64) -> Result<Self, OpenBoundedFileError> {
        let unusable = |errno: Errno| match errno {
            Errno::LOOP | Errno::ISDIR | Errno::NXIO => {
                OpenBoundedFileError::NotAFile { path: path.to_owned() }
            }
            errno => OpenBoundedFileError::Unusable { path: path.to_owned(), source: errno.into() },
        };
        let Some(name) = path.file_name() else {
            return Err(OpenBoundedFileError::NotAFile { path: path.to_owned() });
        };
        let dir = open_dir(path).map_err(unusable)?;
        // Non-blocking, as a pipe that waits for a reader would hold us up.
        let fd = open_at(&dir, name, OFlags::NONBLOCK).map_err(unusable)?;
        let stat = fstat(&fd).map_err(unusable)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(OpenBoundedFileError::NotAFile { path: path.to_owned() });
        }
        if stat.st_uid != geteuid().as_raw() || stat.st_nlink > 1 {
            return Err(OpenBoundedFileError::Foreign { path: path.to_owned() });
        }
        fchmod(&fd, private()).map_err(unusable)?;
        Ok(Self {
            path: path.to_owned(),
            dir,
            name: name.to_owned(),
            file: fd.into(),
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            limit,
        })
    }

    /// The path that it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends `bytes`, which should be whole lines where the file is to hold whole lines: it is
    /// rotated between two calls only. More than the limit at once is cut to its end.
    ///
    /// Blocks as long as the disk does.
    ///
    /// # Errors
    /// When the disk is full or broken, or the file cannot be made anew. A part may be written.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let most = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let bytes = &bytes[bytes.len().saturating_sub(most)..];
        if self.size > 0 && self.size + bytes.len() as u64 > self.limit {
            self.rotate()?;
        }
        let written = self.file.write_all(bytes);
        match &written {
            Ok(()) => self.size += bytes.len() as u64,
            // Nobody says how much of it was written.
            Err(_) => self.size = self.file.metadata().map_or(self.limit, |now| now.len()),
        }
        written
    }

    fn rotate(&mut self) -> io::Result<()> {
        let mut old = self.name.clone();
        old.push(".1");
        match renameat(&self.dir, &self.name, &self.dir, &old) {
            Ok(()) | Err(Errno::NOENT) => {}
            // Something is in the way. What we have is given up, as the limit holds in any case.
            Err(_) => {
                self.file.set_len(0)?;
                self.size = 0;
                return Ok(());
            }
        }
        // Nothing that somebody puts there meanwhile is opened.
        self.file = open_at(&self.dir, &self.name, OFlags::EXCL)?.into();
        self.size = 0;
        Ok(())
    }
}

fn private() -> Mode {
    Mode::RUSR | Mode::WUSR
}

fn open_dir(path: &Path) -> rustix::io::Result<OwnedFd> {
    let dir =
        path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, dir, flags, Mode::empty())
}

fn open_at(dir: &OwnedFd, name: &OsStr, more: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags =
        OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(dir, name, flags | more, private())
}

#[cfg(test)]
mod tests;
