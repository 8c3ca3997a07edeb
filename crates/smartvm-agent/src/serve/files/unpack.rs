//! A tar stream as a tree.
//!
//! The stream may be anybody's: whatever it names is found as if the directory that it is unpacked in were the root, so no
//! link in it or below it leads out; devices are refused.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags,
    chownat, fsetxattr, futimens, linkat, mkdirat, mknodat, openat, statat, symlinkat, utimensat,
};
use rustix::io::Errno;
use smartvm_protocol::agent::WriteStarted;
use smartvm_protocol::host::StartWrite;
use smartvm_protocol::{AgentFrame, Refusal, RefusalCode};
use tar::{Archive, Entry, EntryType};

use super::place::{self, ensure_directories, not_found, open_within, own, remove, split};
use super::stream::Incoming;
use crate::serve::connection::Connection;
use crate::serve::refused::{failed, refused, shown};

/// How many directories get their times when all within them is written; those beyond keep the time of that.
const TIMED: usize = 65_536;

/// Why an entry was not unpacked.
enum Fault {
    /// The guest's file system does not let it.
    System(Errno),
    /// It may not be unpacked.
    Forbidden(&'static str),
    /// The stream ends early or is no tar stream.
    Stream(io::Error),
}

impl From<Errno> for Fault {
    fn from(error: Errno) -> Self {
        Self::System(error)
    }
}

/// Unpacks below the directory at a path; gives how many bytes came.
pub(super) fn receive(connection: &mut Connection, request: &StartWrite) -> Result<u64, Refusal> {
    let path = &request.path;
    if !path.starts_with(b"/") {
        let what = format_args!("use {}: it is not absolute", shown(path));
        return Err(refused(RefusalCode::Protocol, what));
    }
    let root = place::root()?;
    let directory = if request.parents {
        ensure_directories(&root, path)
    } else {
        open_within(&root, path, OFlags::RDONLY | OFlags::DIRECTORY)
    };
    let directory = directory.map_err(|error| not_found(shown(path), error))?;
    connection.queue(&AgentFrame::WriteStarted(WriteStarted {}));
    let mut incoming = Incoming::new(connection);
    unpack(&directory, &mut incoming)?;
    incoming.finish().map_err(|error| {
        refused(RefusalCode::Archive, format_args!("unpack into {}: {error}", shown(path)))
    })
}

fn unpack(directory: &OwnedFd, stream: impl io::Read) -> Result<(), Refusal> {
    let mut archive = Archive::new(stream);
    let damaged =
        |error| refused(RefusalCode::Archive, format_args!("read the stream of a tree: {error}"));
    let mut times = Vec::new();
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let name = entry.path_bytes().into_owned();
        unpack_entry(directory, &mut entry, &name).map_err(|fault| {
            let what = format_args!("unpack {}", shown(&name));
            match fault {
                Fault::System(error) => failed(RefusalCode::Failed, what, error),
                Fault::Forbidden(why) => {
                    refused(RefusalCode::Archive, format_args!("{what}: {why}"))
                }
                Fault::Stream(error) => {
                    refused(RefusalCode::Archive, format_args!("{what}: {error}"))
                }
            }
        })?;
        if entry.header().entry_type() == EntryType::Directory && times.len() < TIMED {
            times.push((name, mtime(&entry)));
        }
    }
    // What was written within a directory has changed its time.
    for (name, mtime) in times.iter().rev() {
        if let Ok(directory) = open_within(directory, name, OFlags::RDONLY | OFlags::DIRECTORY) {
            let _ = futimens(&directory, mtime);
        }
    }
    Ok(())
}

fn unpack_entry(
    root: &OwnedFd,
    entry: &mut Entry<'_, impl io::Read>,
    path: &[u8],
) -> Result<(), Fault> {
    if path.split(|byte| *byte == b'/').any(|part| part == b"..") {
        return Err(Fault::Forbidden("it leads upwards"));
    }
    let header = entry.header();
    let number = |number: io::Result<u64>| {
        let number = number.map_err(Fault::Stream)?;
        u32::try_from(number).map_err(|_| Fault::Forbidden("its owner is no number of Linux"))
    };
    let (uid, gid) = (number(header.uid())?, number(header.gid())?);
    let mode = header.mode().map_err(Fault::Stream)? & 0o7777;
    let kind = header.entry_type();
    let Some((parent, name)) = split(path) else {
        // The directory itself: it is there already, and whose it is was not asked.
        return Ok(());
    };
    let parent = ensure_directories(root, parent)?;
    if kind == EntryType::Directory {
        let made = mkdirat(&parent, name, Mode::from_raw_mode(0o700));
        if made != Err(Errno::EXIST) {
            made?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        // It may be a link to one, which stays.
        let directory = open_within(root, path, flags)?;
        set_attributes(entry, &directory);
        return Ok(own(&directory, Some(uid), Some(gid), mode)?);
    }
    remove(&parent, name)?;
    match kind {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let file = openat(&parent, name, flags, Mode::from_raw_mode(0o600))?;
            let mut target = File::from(file);
            io::copy(entry, &mut target).map_err(|error| match Errno::from_io_error(&error) {
                Some(errno) => Fault::System(errno),
                None => Fault::Stream(error),
            })?;
            own(&target, Some(uid), Some(gid), mode)?;
            // After the owner, as that takes capabilities away.
            set_attributes(entry, &target);
            futimens(&target, &mtime(entry))?;
        }
        EntryType::Symlink | EntryType::Link => {
            let target = entry.link_name_bytes().ok_or(Fault::Forbidden("a link to nothing"))?;
            if kind == EntryType::Symlink {
                symlinkat(&*target, &parent, name)?;
                let owner = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
                chownat(&parent, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)?;
                utimensat(&parent, name, &mtime(entry), AtFlags::SYMLINK_NOFOLLOW)?;
            } else {
                link(root, &target, &parent, name)?;
            }
        }
        EntryType::Fifo => {
            mknodat(&parent, name, FileType::Fifo, Mode::from_raw_mode(mode), 0)?;
            let owner = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
            chownat(&parent, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        EntryType::Char | EntryType::Block => {
            return Err(Fault::Forbidden("it is a device"));
        }
        _ => return Err(Fault::Forbidden("it is of a kind that is not known")),
    }
    Ok(())
}

/// One more name for a file of the tree, and not for a link or a device.
fn link(root: &OwnedFd, target: &[u8], parent: &OwnedFd, name: &[u8]) -> Result<(), Fault> {
    let (target_parent, target_name) =
        split(target).ok_or(Fault::Forbidden("it is a link to a directory"))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let target_parent = open_within(root, target_parent, flags)?;
    let stat = statat(&target_parent, target_name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Fault::Forbidden("it is another name of what is no file"));
    }
    Ok(linkat(&target_parent, target_name, parent, name, AtFlags::empty())?)
}

fn mtime(entry: &Entry<'_, impl io::Read>) -> Timestamps {
    let seconds = entry.header().mtime().ok().and_then(|seconds| i64::try_from(seconds).ok());
    let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let last_modification =
        seconds.map_or(omit, |seconds| Timespec { tv_sec: seconds, tv_nsec: 0 });
    Timestamps { last_access: omit, last_modification }
}

/// Gives it the attributes that the stream has for it, but those that would steer an overlay. A file system that has none
/// goes without.
fn set_attributes(entry: &mut Entry<'_, impl io::Read>, file: impl std::os::fd::AsFd) {
    let Ok(Some(extensions)) = entry.pax_extensions() else { return };
    for extension in extensions.flatten() {
        let Some(name) = extension.key_bytes().strip_prefix(b"SCHILY.xattr.") else { continue };
        if !name.starts_with(b"trusted.overlay.") {
            let name = std::ffi::OsStr::from_bytes(name);
            let _ = fsetxattr(&file, name, extension.value_bytes(), XattrFlags::empty());
        }
    }
}
