//! Opening a directory component by component.
//!
//! What a name leads to can be changed by whoever can write to the directory that it stands in, or owns
//! that directory. So each directory on the way must be root's or ours, and closed to the writing of
//! others; one that is root's may be open when its sticky bit keeps others from what is not theirs, as in
//! `/tmp`. A symbolic link is followed only where nobody but root and we could have made it, and what it
//! leads to is walked in the same way. A directory that must be ours alone is never a link itself.
//!
//! No other user can lead such a path elsewhere, now or later, as what was proved is what would have to be
//! changed for it.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, mkdirat, openat, openat2,
    readlinkat, statat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::unsafe_directory::UnsafeDirectory;

/// As many links as the kernel follows in one path.
const MOST_LINKS: u32 = 40;

const WRITABLE_BY_OTHERS: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// Whose the directory at the end of a path may be. Those on the way may always be root's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Ours alone, and no link.
    Us,
    /// Ours or root's: for what we read, and root may have put there for all.
    UsOrRoot,
}

/// What was found of a path, with nothing made.
#[derive(Debug)]
#[non_exhaustive]
pub enum Place {
    /// The directory, and that it is safe.
    There(OwnedFd),
    /// It is not there; it would be made in this directory, which is safe.
    Missing {
        /// The last directory of the path that exists.
        parent: PathBuf,
        /// Whether we may write to it.
        writable: bool,
    },
}

/// What happens where a directory of the path is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    /// It is made, with mode 0700.
    Make,
    /// That is told.
    Tell,
}

impl Place {
    /// Looks at the directory `path` as whoever opens it would.
    ///
    /// # Errors
    /// When it, or a directory on the way to it, is not safe.
    pub fn examine(path: &Path, trust: Trust) -> Result<Self, UnsafeDirectory> {
        walk(path, trust, Absent::Tell)
    }
}

/// A directory that was reached: its descriptor and where it is.
struct Reached {
    fd: OwnedFd,
    path: PathBuf,
    found: Stat,
}

pub(crate) fn walk(path: &Path, trust: Trust, absent: Absent) -> Result<Place, UnsafeDirectory> {
    let whole = std::path::absolute(path).map_err(|it| UnsafeDirectory::unusable(path, it))?;
    let mut ahead: VecDeque<OsString> = VecDeque::new();
    prepend(&mut ahead, &whole);
    // The way here, so that `..` goes back to what was looked at.
    let mut way = vec![root()?];
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            if way.len() > 1 {
                way.pop();
            }
            continue;
        }
        let is_last = ahead.is_empty();
        let here = way.last().expect("the root directory is never taken away");
        let path = here.path.join(&name);
        let fd = match open_one(&here.fd, &name) {
            Err(Errno::NOENT) if absent == Absent::Make => make_one(here, &name, &path)?,
            Err(Errno::NOENT) => {
                let writable = rustix::fs::accessat(
                    &here.fd,
                    ".",
                    rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
                    AtFlags::EACCESS,
                );
                return Ok(Place::Missing {
                    parent: here.path.clone(),
                    writable: writable.is_ok(),
                });
            }
            Err(Errno::LOOP | Errno::NOTDIR) => {
                let target = link_target(here, &name, &path, is_last && trust == Trust::Us)?;
                links += 1;
                if links > MOST_LINKS {
                    return Err(UnsafeDirectory::unusable(&path, Errno::LOOP));
                }
                if target.is_absolute() {
                    way.truncate(1);
                }
                prepend(&mut ahead, &target);
                continue;
            }
            opened => opened.map_err(|errno| UnsafeDirectory::unusable(&path, errno))?,
        };
        let found = fstat(&fd).map_err(|errno| UnsafeDirectory::unusable(&path, errno))?;
        judge_on_the_way(&path, &found)?;
        way.push(Reached { fd, path, found });
    }
    let last = way.last().expect("the root directory is never taken away");
    judge_last(&last.path, &last.found, trust)?;
    // The way was opened for looking up names only.
    let fd =
        openat(&last.fd, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    Ok(Place::There(fd.map_err(|errno| UnsafeDirectory::unusable(&last.path, errno))?))
}

fn root() -> Result<Reached, UnsafeDirectory> {
    let path = PathBuf::from("/");
    let failed = |errno: Errno| UnsafeDirectory::unusable(Path::new("/"), errno);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = openat(CWD, "/", flags, Mode::empty()).map_err(failed)?;
    let found = fstat(&fd).map_err(failed)?;
    judge_on_the_way(&path, &found)?;
    Ok(Reached { fd, path, found })
}

/// Puts the components of `path` before what is still to be walked.
fn prepend(ahead: &mut VecDeque<OsString>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::Normal(name) => ahead.push_front(name.to_owned()),
            Component::ParentDir => ahead.push_front("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

fn open_one(dir: &impl AsFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let strictly = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    openat2(dir, name, flags, Mode::empty(), strictly)
}

fn make_one(here: &Reached, name: &OsStr, path: &Path) -> Result<OwnedFd, UnsafeDirectory> {
    let failed = |errno| UnsafeDirectory::unusable(path, errno);
    match mkdirat(&here.fd, name, Mode::from_raw_mode(0o700)) {
        // Whoever was faster is judged as if it had been there before.
        Ok(()) | Err(Errno::EXIST) => open_one(&here.fd, name).map_err(|errno| match errno {
            Errno::LOOP => UnsafeDirectory::Link { path: path.to_owned() },
            Errno::NOTDIR => UnsafeDirectory::NotADirectory { path: path.to_owned() },
            errno => UnsafeDirectory::unusable(path, errno),
        }),
        Err(errno) => Err(failed(errno)),
    }
}

/// Where a link leads that nobody but root and we could have made.
fn link_target(
    here: &Reached,
    name: &OsStr,
    path: &Path,
    is_refused: bool,
) -> Result<PathBuf, UnsafeDirectory> {
    let failed = |errno| UnsafeDirectory::unusable(path, errno);
    let found = statat(&here.fd, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::Symlink {
        return Err(UnsafeDirectory::NotADirectory { path: path.to_owned() });
    }
    let closed = here.found.st_mode & WRITABLE_BY_OTHERS == 0;
    if is_refused || !closed || !is_trusted(found.st_uid) {
        return Err(UnsafeDirectory::Link { path: path.to_owned() });
    }
    let target = readlinkat(&here.fd, name, Vec::new()).map_err(failed)?;
    Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
}

fn is_trusted(owner: u32) -> bool {
    owner == 0 || owner == geteuid().as_raw()
}

fn judge_on_the_way(path: &Path, found: &Stat) -> Result<(), UnsafeDirectory> {
    let mode = found.st_mode & 0o7777;
    if !is_trusted(found.st_uid) {
        return Err(foreign(path, found));
    }
    // The sticky bit does not bind the directory's owner, whom root may well distrust.
    let shared = found.st_uid == 0 && mode & STICKY != 0;
    if mode & WRITABLE_BY_OTHERS != 0 && !shared {
        return Err(UnsafeDirectory::WritableByOthers { path: path.to_owned(), mode });
    }
    Ok(())
}

fn judge_last(path: &Path, found: &Stat, trust: Trust) -> Result<(), UnsafeDirectory> {
    let mode = found.st_mode & 0o7777;
    if trust == Trust::Us && found.st_uid != geteuid().as_raw() {
        return Err(foreign(path, found));
    }
    if mode & WRITABLE_BY_OTHERS != 0 {
        return Err(UnsafeDirectory::WritableByOthers { path: path.to_owned(), mode });
    }
    Ok(())
}

fn foreign(path: &Path, found: &Stat) -> UnsafeDirectory {
    UnsafeDirectory::ForeignOwner {
        path: path.to_owned(),
        owner: found.st_uid,
        us: geteuid().as_raw(),
    }
}

/// What a call below a directory failed with, and on what.
pub(crate) fn told(doing: &str, path: &Path, errno: Errno) -> io::Error {
    let cause = io::Error::from(errno);
    let doing = format!("{doing} `{}`", path.display());
    io::Error::new(cause.kind(), AtError { doing, cause })
}

/// As those of `fs_err`, it tells its cause itself: an error of the system has no other place for it.
#[derive(Debug, thiserror::Error)]
#[error("failed to {doing}: {cause}")]
struct AtError {
    doing: String,
    cause: io::Error,
}

#[cfg(test)]
mod tests;
