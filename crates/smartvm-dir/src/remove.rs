//! Emptying a directory, whoever filled it and is filling it still.
//!
//! No path is followed below the directory, and it takes as many descriptors for a tree of any depth: what
//! is deep is first moved up. So a guest that has taken over its Firecracker cannot use up our stack or our
//! descriptors with a directory a hundred thousand levels deep.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, openat2, renameat, unlinkat};
use rustix::io::Errno;

use crate::entries::entries;

/// How often a directory is read again that others put something into meanwhile.
const ROUNDS: u32 = 64;

/// Removes all that is in the open directory `top`.
pub(crate) fn empty(top: &OwnedFd) -> Result<(), Errno> {
    let mut moved = 0_u64;
    loop {
        let found = entries(top)?;
        if found.is_empty() {
            return Ok(());
        }
        for entry in found {
            if entry.is_dir() {
                remove_dir(top, entry.name(), &mut moved)?;
            } else {
                remove_file(top, entry.name())?;
            }
        }
    }
}

/// Removes a directory of `top`; the directories in it become directories of `top`.
fn remove_dir(top: &OwnedFd, name: &OsStr, moved: &mut u64) -> Result<(), Errno> {
    for _ in 0..ROUNDS {
        match unlinkat(top, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            // It was replaced by something else meanwhile.
            Err(Errno::NOTDIR) => return remove_file(top, name),
            Err(errno) => return Err(errno),
        }
        let dir = match open(top, name) {
            Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTDIR | Errno::LOOP) => return remove_file(top, name),
            opened => opened?,
        };
        for entry in entries(&dir)? {
            if entry.is_dir() {
                move_up(&dir, entry.name(), top, moved)?;
            } else {
                remove_file(&dir, entry.name())?;
            }
        }
    }
    Err(Errno::NOTEMPTY)
}

fn move_up(dir: &OwnedFd, name: &OsStr, top: &OwnedFd, moved: &mut u64) -> Result<(), Errno> {
    match unlinkat(dir, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // Something else by now, which the next round removes.
        Err(Errno::NOTDIR) => return Ok(()),
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    loop {
        *moved += 1;
        let new = format!(".~{moved}");
        match renameat(dir, name, top, &new) {
            // What has that name goes as well, in its turn.
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR | Errno::ISDIR) => {}
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
}

fn remove_file(dir: impl AsFd, name: &OsStr) -> Result<(), Errno> {
    match unlinkat(dir, name, AtFlags::empty()) {
        // A directory by now is for the next round.
        Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn open(dir: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let strictly = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    openat2(dir, name, flags, Mode::empty(), strictly)
}
