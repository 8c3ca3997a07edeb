//! A file by the directory that it stands in.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err::File;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat, openat, statat, unlinkat};
use rustix::io::Errno;

use crate::walk::told;

/// What a file is reached by: a name in a directory that is open, so that nobody who renames or replaces a
/// directory on the way leads it elsewhere. The file itself need not exist.
///
/// Clones share the descriptor. [`PrivateDir::file_at`](crate::PrivateDir::file_at) makes one for what others can write beside; a plain path
/// is one whose directory is looked up each time, and whose links are followed.
#[derive(Debug, Clone)]
pub struct FileAt {
    /// None for a plain path.
    dir: Option<Arc<OwnedFd>>,
    name: PathBuf,
    path: PathBuf,
}

impl FileAt {
    pub(crate) fn new(dir: OwnedFd, name: &std::ffi::OsStr, path: PathBuf) -> Self {
        Self { dir: Some(Arc::new(dir)), name: name.into(), path }
    }

    /// Where it is, for messages. Somebody else may have led this name elsewhere.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same file by a path that leads through the open directory: for those who can only be told one. It
    /// is good for as long as this value lives, in this process. The file itself may be a link, as with any path.
    #[must_use]
    pub fn path_through_dir(&self) -> PathBuf {
        match &self.dir {
            Some(dir) => {
                Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(&self.name)
            }
            None => self.path.clone(),
        }
    }

    /// The directory, for calls that take one and a [name](Self::name).
    #[must_use]
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_ref().map_or(CWD, |dir| dir.as_fd())
    }

    /// What it is called there.
    #[must_use]
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Opens it. Below an open directory, a link in its place is an error. Nothing is waited for, so that a pipe in
    /// its place stops nobody.
    ///
    /// # Errors
    /// As `open` says.
    pub fn open(&self, flags: OFlags, mode: Mode) -> io::Result<File> {
        let mut flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK;
        if self.dir.is_some() {
            flags |= OFlags::NOFOLLOW;
        }
        let file = openat(self.dir(), &self.name, flags, mode)
            .map_err(|errno| told("open file", &self.path, errno))?;
        Ok(File::from_parts(file.into(), &self.path))
    }

    /// What it is; itself, and not what a link may lead to.
    ///
    /// # Errors
    /// When it is not there, or the system refuses.
    pub fn stat(&self) -> io::Result<Stat> {
        statat(self.dir(), &self.name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| told("look at", &self.path, errno))
    }

    /// Removes the file or link; to be gone already is success.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove(&self) -> io::Result<()> {
        match unlinkat(self.dir(), &self.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(told("remove file", &self.path, errno)),
        }
    }
}

impl From<PathBuf> for FileAt {
    fn from(path: PathBuf) -> Self {
        Self { dir: None, name: path.clone(), path }
    }
}

impl From<&Path> for FileAt {
    fn from(path: &Path) -> Self {
        path.to_owned().into()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::PrivateDir;

    #[test]
    fn a_directory_that_is_replaced_leads_nowhere_else() {
        let (home, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let dir = PrivateDir::ensure(home.path()).unwrap();
        dir.create_dir("drives").unwrap();
        let file = dir.file_at("drives/a").unwrap();
        dir.rename("drives", "moved").unwrap();
        symlink(elsewhere.path(), home.path().join("drives")).unwrap();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        file.open(flags, Mode::RUSR | Mode::WUSR).unwrap();
        assert!(home.path().join("moved/a").is_file());
        assert!(fs_err::metadata(file.path_through_dir()).unwrap().is_file());
        assert_eq!(file.stat().unwrap().st_size, 0);
        file.remove().unwrap();
        file.remove().unwrap();
        dir.file_at("drives/a").unwrap_err();
        assert_eq!(fs_err::read_dir(elsewhere.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_link_in_the_place_of_the_file_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let secret = home.path().join("secret");
        fs_err::write(&secret, "secret").unwrap();
        symlink(&secret, home.path().join("link")).unwrap();
        let file = PrivateDir::ensure(home.path()).unwrap().file_at("link").unwrap();
        file.open(OFlags::RDONLY, Mode::empty()).unwrap_err();
        file.remove().unwrap();
        assert!(secret.is_file());
        // Whoever names a path has it followed.
        symlink(&secret, home.path().join("link")).unwrap();
        FileAt::from(home.path().join("link")).open(OFlags::RDONLY, Mode::empty()).unwrap();
    }
}
