//! Files of the host that a VM writes to itself, and that are its user's for that time.
//!
//! Who they belonged to is written down before it is changed, beside the jail, where it outlives
//! both the owner and a restart of the host.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode, OFlags, Uid, fchmod, fchown, open, openat};
use serde::{Deserialize, Serialize};

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
    dir: &Path,
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
    let mut list = fs_err::OpenOptions::new().create(true).append(true).open(dir.join(LIST))?;
    list.write_all(line.as_bytes())?;
    list.sync_data()?;
    let file = file.file().as_fd();
    fchown(file, Some(Uid::from_raw(to.0)), Some(Gid::from_raw(to.1)))?;
    fchmod(file, Mode::from_raw_mode(lent.mode & 0o777 | 0o600))?;
    Ok(())
}

/// Gives back all that was lent to the jail in `dir`.
pub(super) fn give_back(dir: &Path) -> io::Result<()> {
    list(dir)?.iter().rev().try_for_each(|lent| lent.find_and_return(dir))
}

/// Gives back the file `name` of a directory of the jail in `dir`, if it was lent.
pub(super) fn give_back_one(dir: &Path, parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let lent = list(dir)?;
    if lent.is_empty() {
        return Ok(());
    }
    let Ok(file) = openat(parent, name, FLAGS, Mode::empty()) else { return Ok(()) };
    let file = std::fs::File::from(file);
    lent.iter().rev().try_for_each(|lent| lent.return_if(&file).map(drop))
}

impl Lent {
    /// Gives the file back, wherever it is: where it was, by the name that the jail has of it, or under another name
    /// in its directory. Whoever has removed it meanwhile had the right to.
    fn find_and_return(&self, dir: &Path) -> io::Result<()> {
        let in_jail = self.name.as_ref().map(|name| dir.join("root").join(name));
        for path in std::iter::once(&self.path).chain(&in_jail) {
            if self.return_at(path)? {
                return Ok(());
            }
        }
        let beside = self.path.parent().and_then(|parent| fs_err::read_dir(parent).ok());
        for entry in beside.into_iter().flatten().filter_map(Result::ok) {
            if std::os::unix::fs::DirEntryExt::ino(&entry) == self.inode
                && self.return_at(&entry.path())?
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
    fn return_at(&self, path: &Path) -> io::Result<bool> {
        match open(path, FLAGS, Mode::empty()) {
            Ok(file) => self.return_if(&std::fs::File::from(file)),
            Err(_) => Ok(false),
        }
    }

    /// Gives the file back if it is this one, and says whether it is.
    fn return_if(&self, file: &std::fs::File) -> io::Result<bool> {
        let found = file.metadata()?;
        if (found.dev(), found.ino()) != (self.device, self.inode) {
            return Ok(false);
        }
        fchown(file, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))?;
        file.set_permissions(PermissionsExt::from_mode(self.mode))?;
        Ok(true)
    }
}

fn list(dir: &Path) -> io::Result<Vec<Lent>> {
    match fs_err::read_to_string(dir.join(LIST)) {
        // A line that was not finished was followed by nothing.
        Ok(text) => Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
