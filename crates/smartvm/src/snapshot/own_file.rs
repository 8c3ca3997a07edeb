//! Opening what is in a snapshot's directory.
//!
//! Somebody else may have filled the directory, with links to other places, pipes that never end or devices. So
//! its files are opened below it and as what they must be.

use std::io;
use std::path::Path;

use fs_err::File;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

/// Opens the file `name` of the snapshot in `dir`: a regular one, reached through no link.
pub(super) fn open_own(dir: &Path, name: &Path) -> io::Result<File> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = openat2(CWD, dir, flags, Mode::empty(), ResolveFlags::empty())?;
    let strictly = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat2(opened, name, flags, Mode::empty(), strictly)?;
    regular(file.into(), &dir.join(name))
}

/// Opens a regular file that is no link, whatever is at `path`, without waiting for anything.
pub(super) fn open_plain(path: &Path) -> io::Result<File> {
    let flags =
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::open(path, flags, Mode::empty())?;
    regular(file.into(), path)
}

fn regular(file: std::fs::File, path: &Path) -> io::Result<File> {
    if !file.metadata()?.is_file() {
        let message = format!("{} is no regular file", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(File::from_parts(file, path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_no_file_of_the_snapshot_is_not_opened() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let secret = elsewhere.path().join("secret");
        fs_err::write(&secret, "secret").unwrap();
        fs_err::write(dir.path().join("memory"), "memory").unwrap();
        symlink(&secret, dir.path().join("link")).unwrap();
        symlink(elsewhere.path(), dir.path().join("drives")).unwrap();
        rustix::fs::mknodat(
            CWD,
            dir.path().join("pipe"),
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        open_own(dir.path(), Path::new("memory")).unwrap();
        open_plain(&dir.path().join("memory")).unwrap();
        for name in ["link", "drives/secret", "pipe", "drives", "../secret", "none"] {
            open_own(dir.path(), Path::new(name)).unwrap_err();
        }
        for name in ["link", "pipe", "drives", "none"] {
            open_plain(&dir.path().join(name)).unwrap_err();
        }
    }
}
