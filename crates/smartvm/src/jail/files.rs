//! What a jailed VM sees of the host.
//!
//! Its root directory becomes its own when the jailer starts: a Firecracker that a guest has taken
//! over could make anything of it. So nothing here is done by a path through it; names are looked up
//! below its descriptor without following links, in directories that are ours, and the root directory is
//! ours again, with the sticky bit, as soon as the jailer is done with it (see [`JailFiles::seal`]).

use std::fs::Metadata;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Uid, chownat, fchmod, fchown, fstat, linkat, mkdirat,
    mknodat, openat,
};
use rustix::io::Errno;
use rustix::process::geteuid;
use smartvm_dir::{FileAt, PrivateDir};
use smartvm_firecracker::BindMount;
use smartvm_images::{StageDrive, stage_drives};

use super::lent::{give_back_file, give_back_one, lend};
use crate::home::Access;

/// The root directory of a jail, to be filled.
#[derive(Debug)]
pub(crate) struct JailFiles {
    /// The jail's directory.
    dir: PrivateDir,
    root: PrivateDir,
    /// As the jailer names it.
    root_path: PathBuf,
    uid: u32,
    gid: u32,
    /// What is to be mounted when Firecracker starts; none once it has.
    binds: Mutex<Option<Vec<BindMount>>>,
}

impl JailFiles {
    /// The jail in `dir`, which was made just now, and which the jailer knows as `path`.
    pub(super) fn open(dir: PrivateDir, path: &Path, uid: u32, gid: u32) -> io::Result<Self> {
        let root = dir.dir("root")?.ok_or(io::ErrorKind::NotFound)?;
        let binds = Mutex::new(Some(Vec::new()));
        Ok(Self { dir, root, root_path: path.join("root"), uid, gid, binds })
    }

    /// The root directory.
    pub(crate) fn root(&self) -> &PrivateDir {
        &self.root
    }

    /// Its path, as the jailer has it.
    pub(crate) fn root_path(&self) -> &Path {
        &self.root_path
    }

    /// What is to be mounted for Firecracker, which is about to start.
    pub(crate) fn take_binds(&self) -> Vec<BindMount> {
        self.binds.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }

    /// Makes a directory that the VM can look into; one that we made already is as good.
    pub(crate) fn make_dir(&self, name: &str) -> io::Result<()> {
        let place = self.place(Path::new(name))?;
        let made = mkdirat(place.dir(), place.name(), Mode::from_raw_mode(0o755));
        if let Err(errno) = made
            && errno != Errno::EXIST
        {
            return Err(errno.into());
        }
        let dir = self.root.dir(name)?.ok_or(io::ErrorKind::NotFound)?;
        refuse_foreign(&dir, Path::new(name))?;
        if made.is_ok() {
            // The process' umask may have taken away what the VM needs.
            fchmod(&dir, Mode::from_raw_mode(0o755))?;
        }
        Ok(())
    }

    /// Where the file `name` is or is to be: in a directory that only we can put something into, or in the root
    /// directory, where what the VM made is told apart by its owner.
    pub(crate) fn place(&self, name: &Path) -> io::Result<FileAt> {
        let place = self.root.file_at(name)?;
        if name.components().count() > 1 {
            refuse_foreign(place.dir(), name)?;
        }
        Ok(place)
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
            Access::ReadOnly if found.mode() & 0o004 == 0 => self.copy(&source, name),
            Access::ReadOnly => self.show(&source, &found, name),
            Access::ReadWrite => self.lend_out(&source, name),
        }
    }

    /// Lets the VM read the host's own file, which others may read as well. A mount changes nothing about the
    /// file, and cannot be written through. A link, which is what can still be had once Firecracker runs, changes
    /// the file's time of change: who has verified it will hash it once more.
    fn show(&self, source: &Path, found: &Metadata, name: &Path) -> io::Result<()> {
        if self.bind(source, name, true)? {
            return Ok(());
        }
        let is_theirs = found.uid() == self.uid || found.gid() == self.gid;
        if found.mode() & 0o002 != 0 || is_theirs {
            return self.copy(source, name);
        }
        match link(&fs_err::File::open(source)?, &self.place(name)?) {
            Err(Errno::XDEV | Errno::MLINK | Errno::PERM) => self.copy(source, name),
            linked => Ok(linked?),
        }
    }

    /// Takes a name away, and gives back the file if it was lent. To be gone already is success.
    pub(crate) fn withdraw(&self, name: &Path) -> io::Result<()> {
        let place = self.place(name)?;
        give_back_one(&self.dir, &place, self.uid)?;
        place.remove()
    }

    /// Gives the VM a file that we made in its root directory.
    pub(crate) fn adopt(&self, name: &Path) -> io::Result<()> {
        let place = self.place(name)?;
        let file = place.open(OFlags::PATH, Mode::empty())?;
        let found = fstat(&file)?;
        let kind = FileType::from_raw_mode(found.st_mode);
        let is_ours = found.st_uid == geteuid().as_raw() && found.st_nlink == 1;
        if !is_ours || matches!(kind, FileType::Symlink | FileType::Directory) {
            // It is not, or not only, what we made.
            let message = format!("{} was replaced", name.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        Ok(chownat(&file, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?)
    }

    /// Takes the root directory back from the VM, which from then on can make files there, but not
    /// replace what others made. For when the jailer has done its work.
    pub(crate) fn seal(&self) -> io::Result<()> {
        fchown(&self.root, Some(Uid::ROOT), Some(Gid::from_raw(self.gid)))?;
        Ok(fchmod(&self.root, Mode::from_raw_mode(0o1770))?)
    }

    /// Gives the VM the file itself, to write to, until its end. It is given back at once when that fails.
    fn lend_out(&self, source: &Path, name: &Path) -> io::Result<()> {
        let place = self.place(name)?;
        let file = fs_err::OpenOptions::new().read(true).write(true).open(source)?;
        lend(&self.dir, source, name, &file, (self.uid, self.gid))?;
        let shown = match link(&file, &place) {
            Err(Errno::XDEV | Errno::MLINK | Errno::PERM) => self.bind_to_write(source, name),
            linked => linked.map_err(io::Error::from),
        };
        if shown.is_err() {
            give_back_file(&self.dir, file.file(), self.uid)?;
        }
        shown
    }

    fn bind_to_write(&self, source: &Path, name: &Path) -> io::Result<()> {
        if self.bind(source, name, false)? {
            return Ok(());
        }
        let message = "a running VM can only write to files on the file system of its jail";
        Err(io::Error::new(io::ErrorKind::CrossesDevices, message))
    }

    /// Notes a mount for the start; false when that was before.
    fn bind(&self, source: &Path, name: &Path, read_only: bool) -> io::Result<bool> {
        let mut binds = self.binds.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(binds) = binds.as_mut() else { return Ok(false) };
        // What it is mounted on.
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let place = self.place(name)?;
        openat(place.dir(), place.name(), flags | OFlags::WRONLY, Mode::empty())?;
        // A path, which a mount needs: until the jailer runs, nobody else is there to change it.
        let target = self.root_path.join(name);
        binds.push(BindMount { source: source.to_owned(), target, read_only });
        Ok(true)
    }

    fn copy(&self, source: &Path, name: &Path) -> io::Result<()> {
        let copy = StageDrive { source: source.into(), target: self.place(name)? };
        stage_drives(&[copy]).map_err(io::Error::other)?;
        self.adopt(name)
    }

    fn make_device(&self, name: &Path, device: u64, access: Access) -> io::Result<()> {
        let mode = Mode::from_raw_mode(if access == Access::ReadOnly { 0o400 } else { 0o600 });
        let place = self.place(name)?;
        mknodat(place.dir(), place.name(), FileType::BlockDevice, mode, device)?;
        let owner = (Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)));
        Ok(chownat(place.dir(), place.name(), owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)?)
    }
}

/// Gives an open file one more name.
fn link(file: &fs_err::File, place: &FileAt) -> Result<(), Errno> {
    linkat(file.file().as_fd(), "", place.dir(), place.name(), AtFlags::EMPTY_PATH)
}

/// Refuses a directory that the VM made: whoever owns one can put anything into it at any moment.
fn refuse_foreign(dir: impl AsFd, name: &Path) -> io::Result<()> {
    let found = fstat(dir)?;
    if found.st_uid == geteuid().as_raw() && found.st_mode & 0o022 == 0 {
        return Ok(());
    }
    let message = format!("the directory of {} in the jail is not ours", name.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
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
        symlink(elsewhere.path(), jail.root_path().join("drives")).unwrap();
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
    fn a_directory_that_the_vm_has_made_itself_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let jail = jail(dir.path());
        let made = jail.root_path().join("pmem");
        fs_err::create_dir(&made).unwrap();
        // As good as the VM's own: it can put there what it likes.
        fs_err::set_permissions(&made, PermissionsExt::from_mode(0o777)).unwrap();
        let source = dir.path().join("image");
        fs_err::write(&source, "image").unwrap();
        let name = Path::new("pmem/a");
        let refused = |done: io::Result<()>| {
            assert_eq!(done.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        };
        refused(jail.make_dir("pmem"));
        refused(jail.place(name).map(drop));
        refused(jail.expose(&source, name, Access::ReadWrite));
        refused(jail.withdraw(name));
        assert!(!dir.path().join("lent").exists(), "nothing was lent for it");
        jail.make_dir("drives").unwrap();
        jail.make_dir("drives").unwrap();
        jail.expose(&source, Path::new("drives/a"), Access::ReadWrite).unwrap();
    }

    #[test]
    fn what_is_a_link_or_has_another_name_is_not_given_to_the_vm() {
        let dir = tempfile::tempdir().unwrap();
        let jail = jail(dir.path());
        let precious = dir.path().join("precious");
        fs_err::write(&precious, "").unwrap();
        symlink(&precious, jail.root_path().join("link")).unwrap();
        fs_err::hard_link(&precious, jail.root_path().join("name")).unwrap();
        for name in ["link", "name"] {
            let error = jail.adopt(Path::new(name)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{name}");
        }
        fs_err::write(jail.root_path().join("own"), "").unwrap();
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
        assert!(!jail.root_path().join("image").exists());
    }

    #[test]
    fn a_file_that_cannot_be_shown_to_the_vm_is_given_back_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let jail = jail(dir.path());
        let image = dir.path().join("image");
        fs_err::write(&image, "image").unwrap();
        // Only root may open it to write as it is.
        let mode = if getuid().is_root() { 0o440 } else { 0o640 };
        fs_err::set_permissions(&image, PermissionsExt::from_mode(mode)).unwrap();
        fs_err::write(jail.root_path().join("name"), "somebody was faster").unwrap();
        let before = fs_err::metadata(&image).unwrap().mode();
        jail.expose(&image, Path::new("name"), Access::ReadWrite).unwrap_err();
        let after = fs_err::metadata(&image).unwrap();
        assert_eq!((after.mode(), after.uid()), (before, getuid().as_raw()));
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
