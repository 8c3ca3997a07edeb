//! What a jailed VM sees of the host.
//!
//! Its root directory becomes its own when the jailer starts: a Firecracker that a guest has taken
//! over could make anything of it. So nothing here is done by a path through it; directories are
//! opened one below the other without following links, and the directory is ours again, with the
//! sticky bit, as soon as the jailer is done with it (see [`JailFiles::seal`]).

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, chmodat, chownat, fchmod, fchown,
    fstat, linkat, mkdirat, mknodat, openat, openat2, unlinkat,
};
use rustix::io::Errno;
use smartvm_dir::PrivateDir;
use smartvm_firecracker::BindMount;
use smartvm_images::stage_drive;

use super::lent::{give_back_one, lend};
use crate::home::Access;

/// The root directory of a jail, to be filled.
#[derive(Debug)]
pub(crate) struct JailFiles {
    /// The jail's directory.
    dir: PrivateDir,
    root: PathBuf,
    root_fd: OwnedFd,
    uid: u32,
    gid: u32,
    /// What is to be mounted when Firecracker starts; none once it has.
    binds: Mutex<Option<Vec<BindMount>>>,
}

/// How a file gets into a jail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// One more name of it, or where that cannot be a mount.
    Shared,
    /// A mount that cannot be written through.
    ReadOnlyMount,
    /// A copy that is the VM's own.
    Copy,
}

impl JailFiles {
    /// The jail in `dir`, which was made just now, and which the jailer knows as `path`.
    pub(super) fn open(dir: PrivateDir, path: &Path, uid: u32, gid: u32) -> io::Result<Self> {
        let root_fd = dir.dir("root")?.ok_or(io::ErrorKind::NotFound)?;
        let root_fd = root_fd.as_fd().try_clone_to_owned()?;
        let binds = Mutex::new(Some(Vec::new()));
        Ok(Self { dir, root: path.join("root"), root_fd, uid, gid, binds })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What is to be mounted for Firecracker, which is about to start.
    pub(crate) fn take_binds(&self) -> Vec<BindMount> {
        self.binds.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }

    /// Makes a directory that the VM can look into; one that exists already is as good.
    pub(crate) fn make_dir(&self, name: &str) -> io::Result<()> {
        let name = Path::new(name);
        match mkdirat(self.parent(name)?, file_name(name)?, Mode::from_raw_mode(0o755)) {
            // The process' umask may have taken away what the VM needs.
            Ok(()) => Ok(fchmod(self.directory(name)?, Mode::from_raw_mode(0o755))?),
            Err(Errno::EXIST) => self.directory(name).map(drop),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Makes the host's file or block device `source` appear as `name`.
    pub(crate) fn expose(&self, source: &Path, name: &Path, access: Access) -> io::Result<()> {
        let source = std::path::absolute(source)?;
        let found = fs_err::metadata(&source)?;
        if found.file_type().is_block_device() {
            return self.make_device(name, found.rdev(), access);
        }
        if !found.is_file() {
            let message = "only files and block devices can be given to a jailed VM";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        match access {
            Access::ReadOnly => {
                let file = fs_err::File::open(&source)?;
                match self.way_of_reading(&found) {
                    Way::Shared => match self.link(&file, name) {
                        Err(Errno::XDEV | Errno::MLINK | Errno::PERM) => {
                            self.bind_or_copy(&source, name)
                        }
                        linked => Ok(linked?),
                    },
                    Way::ReadOnlyMount => self.bind_or_copy(&source, name),
                    Way::Copy => self.copy(&source, name),
                }
            }
            Access::ReadWrite => self.lend_out(&source, name),
        }
    }

    /// Takes a name away, and gives back the file if it was lent. To be gone already is success.
    pub(crate) fn withdraw(&self, name: &Path) -> io::Result<()> {
        let (parent, file) = (self.parent(name)?, file_name(name)?);
        give_back_one(&self.dir, &parent, file, self.uid)?;
        match unlinkat(&parent, file, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Gives the VM a file or directory that we made in its root directory.
    pub(crate) fn adopt(&self, name: &Path) -> io::Result<()> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(self.parent(name)?, file_name(name)?, flags, Mode::empty())?;
        let found = fstat(&file)?;
        let kind = FileType::from_raw_mode(found.st_mode);
        if kind == FileType::Symlink || (kind != FileType::Directory && found.st_nlink != 1) {
            // It is not, or not only, what we made.
            let message = format!("{} was replaced", name.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        self.own(&file)
    }

    /// Makes a socket that the VM may connect to, before it runs.
    pub(crate) fn bind_socket(&self, name: &Path) -> io::Result<UnixListener> {
        let parent = self.parent(name)?;
        let path = format!("/proc/self/fd/{}", parent.as_raw_fd());
        let listener = UnixListener::bind(Path::new(&path).join(file_name(name)?))?;
        chmodat(&parent, file_name(name)?, Mode::from_raw_mode(0o600), AtFlags::empty())?;
        self.adopt(name)?;
        Ok(listener)
    }

    /// A descriptor of what the VM has as `name`, which is followed nowhere.
    pub(crate) fn open_node(&self, name: &Path) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(self.parent(name)?, file_name(name)?, flags, Mode::empty())?)
    }

    /// Takes the root directory back from the VM, which from then on can make files there, but not
    /// replace what others made. For when the jailer has done its work.
    pub(crate) fn seal(&self) -> io::Result<()> {
        fchown(&self.root_fd, Some(Uid::ROOT), Some(Gid::from_raw(self.gid)))?;
        Ok(fchmod(&self.root_fd, Mode::from_raw_mode(0o1770))?)
    }

    fn way_of_reading(&self, found: &std::fs::Metadata) -> Way {
        let mode = found.mode();
        let is_theirs = found.uid() == self.uid || found.gid() == self.gid;
        if mode & 0o004 == 0 {
            Way::Copy
        } else if mode & 0o002 != 0 || is_theirs {
            Way::ReadOnlyMount
        } else {
            Way::Shared
        }
    }

    /// Gives the VM the file itself, to write to, until its end.
    fn lend_out(&self, source: &Path, name: &Path) -> io::Result<()> {
        let file = fs_err::OpenOptions::new().read(true).write(true).open(source)?;
        lend(&self.dir, source, name, &file, (self.uid, self.gid))?;
        match self.link(&file, name) {
            Err(Errno::XDEV | Errno::MLINK | Errno::PERM) => {
                if self.bind(source, name, false)? {
                    return Ok(());
                }
                let message = "a running VM can only write to files on the file system of its jail";
                Err(io::Error::new(io::ErrorKind::CrossesDevices, message))
            }
            linked => Ok(linked?),
        }
    }

    fn link(&self, file: &fs_err::File, name: &Path) -> Result<(), Errno> {
        let parent =
            self.parent(name).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
        let name = name.file_name().ok_or(Errno::INVAL)?;
        linkat(file.file().as_fd(), "", parent, name, AtFlags::EMPTY_PATH)
    }

    fn bind_or_copy(&self, source: &Path, name: &Path) -> io::Result<()> {
        if self.bind(source, name, true)? { Ok(()) } else { self.copy(source, name) }
    }

    /// Notes a mount for the start; false when that was before.
    fn bind(&self, source: &Path, name: &Path, read_only: bool) -> io::Result<bool> {
        let mut binds = self.binds.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(binds) = binds.as_mut() else { return Ok(false) };
        // What it is mounted on.
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(self.parent(name)?, file_name(name)?, flags | OFlags::WRONLY, Mode::empty())?;
        let target = self.root.join(name);
        binds.push(BindMount { source: source.to_owned(), target, read_only });
        Ok(true)
    }

    fn copy(&self, source: &Path, name: &Path) -> io::Result<()> {
        // By a path that the VM cannot lead elsewhere: the directory that is open here.
        let parent = self.parent(name)?;
        let fd = parent.as_raw_fd();
        let target = PathBuf::from(format!("/proc/self/fd/{fd}")).join(file_name(name)?);
        stage_drive(source, &target).map_err(io::Error::other)?;
        self.adopt(name)
    }

    fn make_device(&self, name: &Path, device: u64, access: Access) -> io::Result<()> {
        let mode = Mode::from_raw_mode(if access == Access::ReadOnly { 0o400 } else { 0o600 });
        let (parent, file) = (self.parent(name)?, file_name(name)?);
        mknodat(&parent, file, FileType::BlockDevice, mode, device)?;
        let owner = (Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)));
        Ok(chownat(&parent, file, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn own(&self, file: &OwnedFd) -> io::Result<()> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        Ok(chownat(file, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?)
    }

    fn parent(&self, name: &Path) -> io::Result<OwnedFd> {
        match name.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => self.directory(parent),
            _ => Ok(self.root_fd.try_clone()?),
        }
    }

    /// Opens a directory of the jail without leaving it.
    fn directory(&self, name: &Path) -> io::Result<OwnedFd> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let strictly = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        Ok(openat2(&self.root_fd, name, flags, Mode::empty(), strictly)?)
    }
}

fn file_name(name: &Path) -> io::Result<&std::ffi::OsStr> {
    name.file_name().ok_or_else(|| io::ErrorKind::InvalidFilename.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use rustix::process::{getgid, getuid};

    use super::*;

    /// A jail of ourselves, which needs no root.
    fn jail(dir: &Path) -> JailFiles {
        fs_err::create_dir(dir.join("root")).unwrap();
        let jail = PrivateDir::ensure(dir).unwrap();
        JailFiles::open(jail, dir, getuid().as_raw(), getgid().as_raw()).unwrap()
    }

    #[test]
    fn a_directory_that_the_vm_has_put_a_link_in_place_of_is_not_used() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let jail = jail(dir.path());
        symlink(elsewhere.path(), jail.root().join("drives")).unwrap();
        jail.make_dir("drives").unwrap_err();
        let source = dir.path().join("image");
        fs_err::write(&source, "image").unwrap();
        let name = Path::new("drives/a");
        jail.expose(&source, name, Access::ReadOnly).unwrap_err();
        jail.expose(&source, name, Access::ReadWrite).unwrap_err();
        jail.withdraw(name).unwrap_err();
        fs_err::write(elsewhere.path().join("a"), "precious").unwrap();
        jail.adopt(name).unwrap_err();
        assert_eq!(fs_err::read_dir(elsewhere.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_a_link_or_has_another_name_is_not_given_to_the_vm() {
        let dir = tempfile::tempdir().unwrap();
        let jail = jail(dir.path());
        let precious = dir.path().join("precious");
        fs_err::write(&precious, "").unwrap();
        symlink(&precious, jail.root().join("link")).unwrap();
        fs_err::hard_link(&precious, jail.root().join("name")).unwrap();
        for name in ["link", "name"] {
            let error = jail.adopt(Path::new(name)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{name}");
        }
        fs_err::write(jail.root().join("own"), "").unwrap();
        jail.adopt(Path::new("own")).unwrap();
    }

    #[test]
    fn a_lent_file_is_given_back_when_its_name_is_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let jail = jail(dir.path());
        let image = dir.path().join("image");
        fs_err::write(&image, "image").unwrap();
        fs_err::set_permissions(&image, PermissionsExt::from_mode(0o440)).unwrap();
        // Only root may open it to write as it is.
        if !getuid().is_root() {
            fs_err::set_permissions(&image, PermissionsExt::from_mode(0o640)).unwrap();
        }
        let before = fs_err::metadata(&image).unwrap().mode();
        let name = Path::new("image");
        jail.expose(&image, name, Access::ReadWrite).unwrap();
        assert_eq!(fs_err::metadata(&image).unwrap().mode() & 0o600, 0o600);
        // Wherever it is by then.
        fs_err::rename(&image, dir.path().join("moved")).unwrap();
        jail.withdraw(name).unwrap();
        let after = fs_err::metadata(dir.path().join("moved")).unwrap();
        assert_eq!((after.mode(), after.nlink()), (before, 1));
        assert!(!jail.root().join("image").exists());
    }

    #[test]
    fn what_is_no_file_nor_block_device_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let jail = jail(dir.path());
        for source in [dir.path(), Path::new("/dev/null")] {
            let error = jail.expose(source, Path::new("x"), Access::ReadOnly).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }
}
