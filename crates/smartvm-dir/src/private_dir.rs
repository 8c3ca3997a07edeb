//! A directory that was proved to be ours, by its descriptor.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err::File;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, mkdirat, openat2, renameat,
    statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use crate::entries::{Entry, entries};
use crate::file_at::FileAt;
use crate::remove::empty;
use crate::unsafe_directory::UnsafeDirectory;
use crate::walk::{Absent, Place, Trust, told, walk};

/// No name leads out of the directory, and no link is followed.
const STRICTLY: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);

/// The largest file that is read whole.
const MOST: u64 = 16 << 20;

/// A directory that only we, or root, can put files into, and that stays the one that was looked at
/// whatever becomes of its name. Names below it are relative, never lead out of it and never through a
/// symbolic link.
///
/// Clones share the descriptor.
#[derive(Debug, Clone)]
pub struct PrivateDir {
    fd: Arc<OwnedFd>,
    path: PathBuf,
}

impl PrivateDir {
    /// Opens `path`, making what is missing of it with mode 0700.
    ///
    /// # Errors
    /// When it is not ours, others can write to it, or somebody else could lead the path elsewhere.
    pub fn ensure(path: &Path) -> Result<Self, UnsafeDirectory> {
        Self::ensure_for(path, Trust::Us)
    }

    /// The same for a directory that may be root's, who put something there for all.
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure).
    pub fn ensure_for(path: &Path, trust: Trust) -> Result<Self, UnsafeDirectory> {
        match walk(path, trust, Absent::Make)? {
            Place::There(fd) => Self::new(fd, path),
            Place::Missing { parent, .. } => Err(UnsafeDirectory::unusable(&parent, Errno::NOENT)),
        }
    }

    /// Opens `path` if it is there; nothing is made.
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure).
    pub fn existing(path: &Path) -> Result<Option<Self>, UnsafeDirectory> {
        match walk(path, Trust::Us, Absent::Tell)? {
            Place::There(fd) => Self::new(fd, path).map(Some),
            Place::Missing { .. } => Ok(None),
        }
    }

    fn new(fd: OwnedFd, path: &Path) -> Result<Self, UnsafeDirectory> {
        let path = std::path::absolute(path).map_err(|it| UnsafeDirectory::unusable(path, it))?;
        Ok(Self { fd: Arc::new(fd), path })
    }

    /// Where it was found: for messages, and for those who can only be told a path. No other user can make
    /// it lead elsewhere.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the directory `name`; none when it is not there.
    ///
    /// # Errors
    /// When it is no directory, or the system refuses.
    pub fn dir(&self, name: impl AsRef<Path>) -> io::Result<Option<Self>> {
        let name = name.as_ref();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match openat2(&self.fd, name, flags, Mode::empty(), STRICTLY) {
            Ok(fd) => Ok(Some(Self { fd: Arc::new(fd), path: self.path.join(name) })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.failed("open directory", name, errno)),
        }
    }

    /// Makes the directory `name`, for us alone, and opens it.
    ///
    /// # Errors
    /// When something is there already, or the system refuses.
    pub fn create_dir(&self, name: impl AsRef<Path>) -> io::Result<Self> {
        let name = name.as_ref();
        let (parent, file) = self.parent(name)?;
        mkdirat(parent.as_fd(), file, Mode::from_raw_mode(0o700))
            .map_err(|errno| self.failed("create directory", name, errno))?;
        self.dir(name)?.ok_or_else(|| self.failed("open directory", name, Errno::NOENT))
    }

    /// Opens the directory `name`, making it if it is missing.
    ///
    /// # Errors
    /// When something else is there, or the system refuses.
    pub fn ensure_dir(&self, name: impl AsRef<Path>) -> io::Result<Self> {
        let name = name.as_ref();
        if let Some(dir) = self.dir(name)? {
            return Ok(dir);
        }
        match self.create_dir(name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made,
        }
        self.dir(name)?.ok_or_else(|| self.failed("open directory", name, Errno::NOENT))
    }

    /// Opens the file `name`. Nothing is waited for, so that a pipe in its place stops nobody.
    ///
    /// # Errors
    /// As `open` says; a link is an error.
    pub fn open(&self, name: impl AsRef<Path>, flags: OFlags) -> io::Result<File> {
        let name = name.as_ref();
        let mut flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        if !flags.contains(OFlags::PATH) {
            flags |= OFlags::NONBLOCK;
        }
        let mode = if flags.contains(OFlags::CREATE) { 0o600 } else { 0 };
        let fd = openat2(&self.fd, name, flags, Mode::from_raw_mode(mode), STRICTLY)
            .map_err(|errno| self.failed("open file", name, errno))?;
        Ok(File::from_parts(fd.into(), self.path.join(name)))
    }

    /// The file `name`, which need not be there, by the directory that it stands in.
    ///
    /// # Errors
    /// When that directory cannot be reached.
    pub fn file_at(&self, name: impl AsRef<Path>) -> io::Result<FileAt> {
        let name = name.as_ref();
        let (parent, file) = self.parent(name)?;
        let dir = match parent {
            Parent::This(fd) => fd.try_clone_to_owned()?,
            Parent::Other(fd) => fd,
        };
        Ok(FileAt::new(dir, file, self.path.join(name)))
    }

    /// The content of the file `name`; none when there is none.
    ///
    /// # Errors
    /// When it is no file, or larger than 16 MiB, or cannot be read.
    pub fn read(&self, name: impl AsRef<Path>) -> io::Result<Option<Vec<u8>>> {
        let name = name.as_ref();
        let mut file = match self.open(name, OFlags::RDONLY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        if !file.metadata()?.is_file() {
            let message = format!("{} is not a file", self.path.join(name).display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let mut content = Vec::new();
        (&mut file).take(MOST + 1).read_to_end(&mut content)?;
        if content.len() as u64 > MOST {
            let message = format!("{} is larger than 16 MiB", self.path.join(name).display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(Some(content))
    }

    /// The same as text; what is no text is replaced.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_text(&self, name: impl AsRef<Path>) -> io::Result<Option<String>> {
        Ok(self.read(name)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Replaces the file `name`; a reader sees the old or the new one, never half of it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(&self, name: impl AsRef<Path>, content: &[u8]) -> io::Result<()> {
        let name = name.as_ref();
        let mut unfinished = name.as_os_str().to_owned();
        unfinished.push(".new");
        let unfinished = Path::new(&unfinished);
        let mut file = self.open(unfinished, OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC)?;
        file.write_all(content)?;
        self.rename(unfinished, name)
    }

    /// Gives `from` the name `to`, in place of what has it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
        self.rename_into(from, self, to)
    }

    /// Moves `from` into another directory, where it is `to`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn rename_into(
        &self,
        from: impl AsRef<Path>,
        target: &Self,
        to: impl AsRef<Path>,
    ) -> io::Result<()> {
        let (from, to) = (from.as_ref(), to.as_ref());
        let ((old, old_name), (new, new_name)) = (self.parent(from)?, target.parent(to)?);
        renameat(old.as_fd(), old_name, new.as_fd(), new_name)
            .map_err(|errno| self.failed("rename", from, errno))
    }

    /// Makes `name` a link to `target`.
    ///
    /// # Errors
    /// When something is there already, or the system refuses.
    pub fn symlink(&self, target: &Path, name: impl AsRef<Path>) -> io::Result<()> {
        let name = name.as_ref();
        let (parent, file) = self.parent(name)?;
        symlinkat(target, parent.as_fd(), file)
            .map_err(|errno| self.failed("make link", name, errno))
    }

    /// Removes the file or link `name`; to be gone already is success.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove_file(&self, name: impl AsRef<Path>) -> io::Result<()> {
        let name = name.as_ref();
        let (parent, file) = match self.parent(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            parent => parent?,
        };
        match unlinkat(parent.as_fd(), file, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.failed("remove file", name, errno)),
        }
    }

    /// Removes the directory `name` if nothing is in it; to be gone already is success.
    ///
    /// # Errors
    /// `DirectoryNotEmpty`, and what the system refuses.
    pub fn remove_empty_dir(&self, name: impl AsRef<Path>) -> io::Result<()> {
        let name = name.as_ref();
        let (parent, file) = self.parent(name)?;
        match unlinkat(parent.as_fd(), file, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.failed("remove directory", name, errno)),
        }
    }

    /// Removes the directory `name` with all that is in it, whoever made that; to be gone already is
    /// success. Blocks for as long as there is much.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove_dir_all(&self, name: impl AsRef<Path>) -> io::Result<()> {
        let name = name.as_ref();
        let Some(dir) = self.dir(name)? else { return Ok(()) };
        let failed = |errno| self.failed("remove directory", name, errno);
        // More than once where others, who go on with it, put something in.
        for _ in 0..8 {
            empty(&dir.fd).map_err(failed)?;
            let (parent, file) = self.parent(name)?;
            match unlinkat(parent.as_fd(), file, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                Err(Errno::NOTEMPTY | Errno::EXIST) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        Err(failed(Errno::NOTEMPTY))
    }

    /// What is in the directory, in no order.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        entries(&*self.fd).map_err(|errno| told("read directory", &self.path, errno))
    }

    /// What `name` is, itself and not what it may lead to; none when it is not there.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn stat(&self, name: impl AsRef<Path>) -> io::Result<Option<Stat>> {
        let name = name.as_ref();
        let (parent, file) = match self.parent(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            parent => parent?,
        };
        match statat(parent.as_fd(), file, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.failed("look at", name, errno)),
        }
    }

    /// Whether `name` is a directory.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn has_dir(&self, name: impl AsRef<Path>) -> io::Result<bool> {
        let found = self.stat(name)?;
        Ok(found.is_some_and(|it| FileType::from_raw_mode(it.st_mode) == FileType::Directory))
    }

    /// Whether its name still leads to this very directory.
    ///
    /// # Errors
    /// When the directory itself cannot be looked at.
    pub fn is_in_place(&self) -> io::Result<bool> {
        let ours = fstat(&*self.fd)?;
        let named = statat(CWD, &self.path, AtFlags::SYMLINK_NOFOLLOW);
        Ok(named.is_ok_and(|it| (it.st_dev, it.st_ino) == (ours.st_dev, ours.st_ino)))
    }

    /// The directory that `name` stands in, and what it is called there.
    fn parent<'a>(&self, name: &'a Path) -> io::Result<(Parent<'_>, &'a OsStr)> {
        let file = name.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        match name.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let fd = openat2(&self.fd, parent, flags, Mode::empty(), STRICTLY)
                    .map_err(|errno| self.failed("open directory", parent, errno))?;
                Ok((Parent::Other(fd), file))
            }
            _ => Ok((Parent::This(self.fd.as_fd()), file)),
        }
    }

    fn failed(&self, doing: &str, name: &Path, errno: Errno) -> io::Error {
        told(doing, &self.path.join(name), errno)
    }
}

impl AsFd for PrivateDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

enum Parent<'a> {
    This(BorrowedFd<'a>),
    Other(OwnedFd),
}

impl AsFd for Parent<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::This(fd) => *fd,
            Self::Other(fd) => fd.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests;
