//! Files of the host that a VM writes to itself, and that are its user's for that time.
//!
//! Who they belonged to is written down before it is changed, beside the jail, where it outlives
//! both the owner and a restart of the host.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode, OFlags, Uid, fchmod, fchown, open};
use serde::{Deserialize, Serialize};
use smartvm_dir::{FileAt, PrivateDir};

/// The list, one JSON object a line, in the jail's directory.
const LIST: &str = "lent";

/// How a file is opened to give it back: no link is followed, and no pipe waited for.
const FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Lent {
    path: PathBuf,
    /// What it is called below the jail's root directory.
    name: Option<PathBuf>,
    /// Which file it is: another one of the same name is not touched.
    device: u64,
    inode: u64,
    uid: u32,
    gid: u32,
    mode: u32,
}

/// Gives `file`, which `path` names, to a user, and writes into the jail's directory whose it was. The jail has it as
/// `name`.
pub(super) fn lend(
    dir: &PrivateDir,
    path: &Path,
    name: &Path,
    file: &fs_err::File,
    to: (u32, u32),
) -> io::Result<()> {
    let found = file.metadata()?;
    let lent = Lent {
        path: fs_err::canonicalize(path)?,
        name: Some(name.to_owned()),
        device: found.dev(),
        inode: found.ino(),
        uid: found.uid(),
        gid: found.gid(),
        mode: found.mode() & 0o7777,
    };
    let mut line = serde_json::to_string(&lent).map_err(io::Error::other)?;
    line.push('\n');
    let mut list = dir.open(LIST, OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND)?;
    list.write_all(line.as_bytes())?;
    list.sync_data()?;
    let file = file.file().as_fd();
    fchown(file, Some(Uid::from_raw(to.0)), Some(Gid::from_raw(to.1)))?;
    fchmod(file, Mode::from_raw_mode(lent.mode & 0o777 | 0o600))?;
    Ok(())
}

/// Gives back all that was lent to the jail in `dir`, to its user `uid`.
pub(super) fn give_back(dir: &PrivateDir, uid: u32) -> io::Result<()> {
    list(dir)?.iter().rev().try_for_each(|lent| lent.find_and_return(dir, uid))
}

/// Gives back a file of the jail in `dir`, if it was lent.
pub(super) fn give_back_one(dir: &PrivateDir, file: &FileAt, uid: u32) -> io::Result<()> {
    let lent = list(dir)?;
    if lent.is_empty() {
        return Ok(());
    }
    let Ok(file) = file.open(OFlags::RDONLY, Mode::empty()) else { return Ok(()) };
    return_file(&lent, file.file(), uid)
}

/// Gives back an open file that was lent to the jail in `dir`.
pub(super) fn give_back_file(dir: &PrivateDir, file: &std::fs::File, uid: u32) -> io::Result<()> {
    return_file(&list(dir)?, file, uid)
}

fn return_file(lent: &[Lent], file: &std::fs::File, uid: u32) -> io::Result<()> {
    lent.iter().rev().try_for_each(|lent| lent.return_if(file, uid).map(drop))
}

impl Lent {
    /// Gives the file back, wherever it is: where it was, by the name that the jail has of it, or under another name
    /// in its directory. Whoever has removed it meanwhile had the right to.
    fn find_and_return(&self, dir: &PrivateDir, uid: u32) -> io::Result<()> {
        if self.return_at(&self.path, uid)? {
            return Ok(());
        }
        if let Some(name) = &self.name
            && let Ok(file) = dir.open(Path::new("root").join(name), OFlags::RDONLY)
            && self.return_if(file.file(), uid)?
        {
            return Ok(());
        }
        let beside = self.path.parent().and_then(|parent| fs_err::read_dir(parent).ok());
        for entry in beside.into_iter().flatten().filter_map(Result::ok) {
            if std::os::unix::fs::DirEntryExt::ino(&entry) == self.inode
                && self.return_at(&entry.path(), uid)?
            {
                return Ok(());
            }
        }
        tracing::warn!(
            path = %self.path.display(), inode = self.inode,
            "a file that was lent to a VM is not found: if it was moved, give it back to its owner"
        );
        Ok(())
    }

    /// Gives the file back if it is at `path`.
    fn return_at(&self, path: &Path, uid: u32) -> io::Result<bool> {
        match open(path, FLAGS, Mode::empty()) {
            Ok(file) => self.return_if(&std::fs::File::from(file), uid),
            Err(_) => Ok(false),
        }
    }

    /// Gives the file back if it is this one, and says whether it is. Whatever the list says, only what is the
    /// user's to whom it was lent changes its owner, and nothing becomes a program that runs as its owner.
    fn return_if(&self, file: &std::fs::File, from: u32) -> io::Result<bool> {
        let found = file.metadata()?;
        if (found.dev(), found.ino()) != (self.device, self.inode) || !found.is_file() {
            return Ok(false);
        }
        if found.uid() == from {
            fchown(file, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))?;
            file.set_permissions(PermissionsExt::from_mode(self.mode & 0o777))?;
        }
        Ok(true)
    }
}

fn list(dir: &PrivateDir) -> io::Result<Vec<Lent>> {
    let text = dir.read_text(LIST)?.unwrap_or_default();
    // A line that was not finished was followed by nothing.
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

#[cfg(test)]
mod tests {
    use rustix::process::geteuid;

    use super::*;

    /// A file of somebody, and a list that says it was lent by a user who would like it to be theirs.
    fn planted(mode: u32, owner: u32) -> (tempfile::TempDir, PrivateDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::ensure(home.path()).unwrap();
        let path = home.path().join("precious");
        fs_err::write(&path, "precious").unwrap();
        fs_err::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        std::os::unix::fs::chown(&path, Some(owner), None).unwrap();
        let found = fs_err::metadata(&path).unwrap();
        let (device, inode) = (found.dev(), found.ino());
        let lent =
            Lent { path: path.clone(), name: None, device, inode, uid: 0, gid: 65_534, mode };
        dir.write(LIST, serde_json::to_string(&lent).unwrap().as_bytes()).unwrap();
        (home, dir, path)
    }

    #[test]
    fn a_file_that_is_not_the_vm_s_now_is_not_given_to_anybody() {
        let us = geteuid().as_raw();
        let (_home, dir, path) = planted(0o4777, us);
        give_back(&dir, us + 70_000).unwrap();
        let found = fs_err::metadata(&path).unwrap();
        assert_eq!((found.uid(), found.mode() & 0o7777), (us, 0o600));
    }

    #[test]
    fn no_file_is_given_back_as_a_program_that_runs_as_its_owner() {
        if !geteuid().is_root() {
            return; // Only root lends.
        }
        let (_home, dir, path) = planted(0o6755, 70_000);
        give_back(&dir, 70_000).unwrap();
        let found = fs_err::metadata(&path).unwrap();
        assert_eq!((found.uid(), found.mode() & 0o7777), (0, 0o755));
    }
}
