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

/// The list, one JSON object a line, in the jail's directory.
const LIST: &str = "lent";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Lent {
    path: PathBuf,
    /// Which file it is: another one of the same name is not touched.
    device: u64,
    inode: u64,
    uid: u32,
    gid: u32,
    mode: u32,
}

/// Gives `file`, which `path` names, to a user, and writes into the jail's directory whose it was.
pub(super) fn lend(dir: &Path, path: &Path, file: &fs_err::File, to: (u32, u32)) -> io::Result<()> {
    let found = file.metadata()?;
    let lent = Lent {
        path: fs_err::canonicalize(path)?,
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
    let text = match fs_err::read_to_string(dir.join(LIST)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    // A line that was not finished was followed by nothing.
    for lent in text.lines().rev().filter_map(|line| serde_json::from_str::<Lent>(line).ok()) {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // Whoever has removed or moved it meanwhile had the right to.
        let Ok(file) = open(&lent.path, flags, Mode::empty()) else { continue };
        let file = std::fs::File::from(file);
        let found = file.metadata()?;
        if (found.dev(), found.ino()) != (lent.device, lent.inode) {
            continue;
        }
        fchown(&file, Some(Uid::from_raw(lent.uid)), Some(Gid::from_raw(lent.gid)))?;
        file.set_permissions(PermissionsExt::from_mode(lent.mode))?;
    }
    Ok(())
}
