//! The directory in which a VM's Firecracker runs.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Access as Permission, FileType, Mode, OFlags, access, fstat, renameat};
use smartvm_dir::{FileAt, PrivateDir};

use super::private_socket::listen_privately;

use crate::jail::JailFiles;

/// What the VM does with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// It reads it; the file may be shared between VMs.
    ReadOnly,
    /// It reads and writes it.
    ReadWrite,
}

/// The working directory of a VM's Firecracker. Every file that Firecracker is told of is told by its
/// name relative to it, never by where it is on this host: a snapshot remembers the names, and must
/// find the files of whichever VM it is restored as.
///
/// A Firecracker that a guest has taken over can put there what it likes. So files are reached through the
/// directory's descriptor alone ([`place`](Self::place)), and a path is only shown.
#[derive(Debug, Clone)]
pub(crate) struct WorkDir {
    dir: PrivateDir,
    path: PathBuf,
    /// Its files are given by the jail, when there is one.
    jail: Option<Arc<JailFiles>>,
}

impl WorkDir {
    /// `dir` as it is: Firecracker sees the host's files and runs as the user that we are.
    pub(crate) fn plain(dir: PrivateDir) -> Self {
        Self { path: dir.path().to_owned(), dir, jail: None }
    }

    /// A directory of a test.
    #[cfg(test)]
    pub(crate) fn of_test(path: &Path) -> Self {
        Self::plain(PrivateDir::ensure(path).expect("a test's directory is its own"))
    }

    /// The root directory of a jail: Firecracker sees what is in it, and is another user.
    pub(super) fn jailed(jail: Arc<JailFiles>) -> Self {
        let (dir, path) = (jail.root().clone(), jail.root_path().to_owned());
        Self { dir, path, jail: Some(jail) }
    }

    /// Where it is on this host.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How the file with this name is called on this host: for messages, and for what users are shown.
    pub(crate) fn host_path(&self, name: &Path) -> PathBuf {
        self.path.join(name)
    }

    /// The file with this name, by its directory; it need not be there. In a jail, what is below a directory that
    /// the VM made has no place.
    pub(crate) fn place(&self, name: &Path) -> io::Result<FileAt> {
        match &self.jail {
            Some(jail) => jail.place(name),
            None => self.dir.file_at(name),
        }
    }

    /// Makes the directory `name` for files of the VM; one that we made already is as good.
    pub(crate) fn make_dir(&self, name: &str) -> io::Result<()> {
        match &self.jail {
            Some(jail) => jail.make_dir(name),
            None => self.dir.ensure_dir(name).map(drop),
        }
    }

    /// Makes the host's file `source` reachable for Firecracker as `name`. The file itself is not
    /// touched, unless a jailed Firecracker is to write to it: it is given to its user then, until
    /// the VM's end. It must be accessible.
    ///
    /// Blocks for as long as a copy takes when a jailed Firecracker could not read the file itself:
    /// when others may not, or when it runs already and the file is on another file system.
    pub(crate) fn expose(&self, source: &Path, name: &Path, use_as: Access) -> io::Result<()> {
        if let Some(jail) = &self.jail {
            return jail.expose(source, name, use_as);
        }
        let source = std::path::absolute(source)?;
        let permission = match use_as {
            Access::ReadOnly => Permission::READ_OK,
            Access::ReadWrite => Permission::READ_OK | Permission::WRITE_OK,
        };
        access(&source, permission)?;
        self.dir.symlink(&source, name)
    }

    /// Puts the file `new` in the place of `name`. Whoever has the former file open keeps it.
    pub(crate) fn replace(&self, new: &Path, name: &Path) -> io::Result<()> {
        let (new, name) = (self.place(new)?, self.place(name)?);
        Ok(renameat(new.dir(), new.name(), name.dir(), name.name())?)
    }

    /// Takes a name away. The host's file that it stands for is not touched; a file that we made is
    /// gone. A name that nothing has is as good.
    pub(crate) fn withdraw(&self, name: &Path) -> io::Result<()> {
        match &self.jail {
            Some(jail) => jail.withdraw(name),
            None => self.dir.remove_file(name),
        }
    }

    /// Makes a socket in the directory that Firecracker may connect to, and of others root alone.
    pub(crate) fn bind_socket(&self, name: &Path) -> io::Result<UnixListener> {
        let listener = listen_privately(&self.place(name)?)?;
        self.adopt(name)?;
        Ok(listener)
    }

    /// Opens the socket that Firecracker made as `name`, to be connected to. Whatever else is there is not opened.
    pub(crate) fn open_socket(&self, name: &Path) -> io::Result<OwnedFd> {
        let socket = self.place(name)?.open(OFlags::PATH, Mode::empty())?;
        if FileType::from_raw_mode(fstat(&socket)?.st_mode) == FileType::Socket {
            return Ok(socket.into_file().into());
        }
        let text = format!("{} is no socket", name.display());
        Err(io::Error::new(io::ErrorKind::InvalidData, text))
    }

    /// Lets Firecracker use a file that we made in the directory.
    pub(crate) fn adopt(&self, name: &Path) -> io::Result<()> {
        self.jail.as_ref().map_or(Ok(()), |jail| jail.adopt(name))
    }

    /// Keeps Firecracker, once its API answers, from replacing what others make in the directory.
    pub(crate) fn seal(&self) -> io::Result<()> {
        self.jail.as_ref().map_or(Ok(()), |jail| jail.seal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_host_is_reachable_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let work_dir = WorkDir::of_test(&dir.path().join("vm"));
        let source = dir.path().join("disk.img");
        fs_err::write(&source, "content").unwrap();

        work_dir.make_dir("drives").unwrap();
        work_dir.make_dir("drives").unwrap();
        let name = Path::new("drives/rootfs");
        work_dir.expose(&source, name, Access::ReadOnly).unwrap();
        assert_eq!(fs_err::read_to_string(work_dir.host_path(name)).unwrap(), "content");
        fs_err::remove_dir_all(work_dir.path()).unwrap();
        assert_eq!(fs_err::read_to_string(source).unwrap(), "content", "only the name goes");
    }

    #[test]
    fn a_file_that_is_not_there_cannot_be_exposed() {
        let dir = tempfile::tempdir().unwrap();
        let work_dir = WorkDir::of_test(dir.path());
        let error = work_dir.expose(Path::new("/nowhere"), Path::new("kernel"), Access::ReadOnly);
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_name_can_be_given_to_another_file_and_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let work_dir = WorkDir::of_test(&dir.path().join("vm"));
        let (first, second) = (dir.path().join("a"), dir.path().join("b"));
        fs_err::write(&first, "first").unwrap();
        fs_err::write(&second, "second").unwrap();
        let (name, new) = (Path::new("disk"), Path::new("disk.new"));
        work_dir.expose(&first, name, Access::ReadOnly).unwrap();
        work_dir.expose(&second, new, Access::ReadOnly).unwrap();
        work_dir.replace(new, name).unwrap();
        assert_eq!(fs_err::read_to_string(work_dir.host_path(name)).unwrap(), "second");
        work_dir.withdraw(name).unwrap();
        work_dir.withdraw(name).unwrap();
        assert_eq!(fs_err::read_dir(work_dir.path()).unwrap().count(), 0);
        assert_eq!(fs_err::read_to_string(first).unwrap(), "first");
    }

    #[test]
    fn a_name_is_given_once() {
        let dir = tempfile::tempdir().unwrap();
        let work_dir = WorkDir::of_test(dir.path());
        let source = dir.path().join("a");
        fs_err::write(&source, "").unwrap();
        let name = Path::new("kernel");
        work_dir.expose(&source, name, Access::ReadWrite).unwrap();
        let again = work_dir.expose(&source, name, Access::ReadWrite).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }
}
