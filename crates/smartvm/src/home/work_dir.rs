//! The directory in which a VM's Firecracker runs.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Access as Permission, FileType, Mode, OFlags, access, fstat};

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
#[derive(Debug, Clone)]
pub(crate) struct WorkDir {
    path: PathBuf,
    /// Its files are given by the jail, when there is one.
    jail: Option<Arc<JailFiles>>,
}

impl WorkDir {
    /// `path` as it is: Firecracker sees the host's files and runs as the user that we are.
    pub(crate) fn plain(path: PathBuf) -> Self {
        Self { path, jail: None }
    }

    /// The root directory of a jail: Firecracker sees what is in it, and is another user.
    pub(super) fn jailed(jail: Arc<JailFiles>) -> Self {
        Self { path: jail.root().to_owned(), jail: Some(jail) }
    }

    /// Where it is on this host.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the file with this name is on this host.
    pub(crate) fn host_path(&self, name: &Path) -> PathBuf {
        self.path.join(name)
    }

    /// Makes the directory `name` for files of the VM; one that exists already is as good.
    pub(crate) fn make_dir(&self, name: &str) -> io::Result<()> {
        if let Some(jail) = &self.jail {
            return jail.make_dir(name);
        }
        match fs_err::create_dir(self.path.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
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
        symlink(source, self.host_path(name))
    }

    /// Puts the file `new` in the place of `name`. Whoever has the former file open keeps it.
    pub(crate) fn replace(&self, new: &Path, name: &Path) -> io::Result<()> {
        fs_err::rename(self.host_path(new), self.host_path(name))
    }

    /// Takes a name away. The host's file that it stands for is not touched; a file that we made is
    /// gone. A name that nothing has is as good.
    pub(crate) fn withdraw(&self, name: &Path) -> io::Result<()> {
        if let Some(jail) = &self.jail {
            return jail.withdraw(name);
        }
        match fs_err::remove_file(self.host_path(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Makes a socket in the directory that Firecracker may connect to, and of others root alone. For before it runs.
    pub(crate) fn bind_socket(&self, name: &Path) -> io::Result<UnixListener> {
        let listener = match &self.jail {
            Some(jail) => jail.bind_socket(name)?,
            None => {
                let path = self.host_path(name);
                let listener = UnixListener::bind(&path)?;
                fs_err::set_permissions(&path, PermissionsExt::from_mode(0o600))?;
                listener
            }
        };
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Opens the socket that Firecracker made as `name`, to be connected to. Whatever else is there is not opened.
    pub(crate) fn open_socket(&self, name: &Path) -> io::Result<OwnedFd> {
        let socket = match &self.jail {
            Some(jail) => jail.open_node(name)?,
            None => {
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                rustix::fs::open(self.host_path(name), flags, Mode::empty())?
            }
        };
        if FileType::from_raw_mode(fstat(&socket)?.st_mode) == FileType::Socket {
            return Ok(socket);
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
        let work_dir = WorkDir::plain(dir.path().join("vm"));
        fs_err::create_dir(work_dir.path()).unwrap();
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
        let work_dir = WorkDir::plain(dir.path().to_owned());
        let error = work_dir.expose(Path::new("/nowhere"), Path::new("kernel"), Access::ReadOnly);
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_name_can_be_given_to_another_file_and_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let work_dir = WorkDir::plain(dir.path().join("vm"));
        fs_err::create_dir(work_dir.path()).unwrap();
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
        let work_dir = WorkDir::plain(dir.path().to_owned());
        let source = dir.path().join("a");
        fs_err::write(&source, "").unwrap();
        let name = Path::new("kernel");
        work_dir.expose(&source, name, Access::ReadWrite).unwrap();
        let again = work_dir.expose(&source, name, Access::ReadWrite).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }
}
