//! Files into the guest.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, fstat, ftruncate, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;
use smartvm_protocol::agent::{WriteStarted, Written};
use smartvm_protocol::host::StartWrite;
use smartvm_protocol::{AgentFrame, Refusal, RefusalCode};

use super::place::{Place, not_found, own};
use super::stream::Incoming;
use super::unpack;
use crate::serve::connection::Connection;
use crate::serve::refused::{failed, refused, shown};

/// What a new file's mode is when nobody says.
const MODE: u32 = 0o644;

/// Takes a file, or unpacks a tar stream.
pub(crate) fn run(mut connection: Connection, request: &StartWrite) {
    let done = if request.tree {
        unpack::receive(&mut connection, request)
    } else {
        receive(&mut connection, request)
    };
    let answer = match done {
        Ok(bytes) => AgentFrame::Written(Written { bytes }),
        Err(refusal) => AgentFrame::Refused(refusal),
    };
    let _ = connection.send(&answer);
}

/// A file that is being written, removed unless it gets its place.
struct Draft<'a> {
    place: &'a Place,
    name: CString,
    file: OwnedFd,
}

fn receive(connection: &mut Connection, request: &StartWrite) -> Result<u64, Refusal> {
    let place = Place::find(&request.path, request.parents)?;
    let cannot = |error| not_found(shown(&request.path), error);
    let before = match statat(&place.directory, &place.name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Some(stat),
        Err(Errno::NOENT) => None,
        Err(error) => return Err(cannot(error)),
    };
    let kind = before.as_ref().map(|stat| FileType::from_raw_mode(stat.st_mode));
    match kind {
        None | Some(FileType::RegularFile) => {}
        // What replaces a link leaves alone what it leads to.
        Some(FileType::Symlink) if request.atomic => {}
        Some(_) => {
            let what = format_args!("write {}: it is no file", shown(&request.path));
            return Err(refused(RefusalCode::WrongKind, what));
        }
    }
    let before = before.filter(|_| kind == Some(FileType::RegularFile));
    let mode = request.mode.or_else(|| before.as_ref().map(|stat| stat.st_mode)).unwrap_or(MODE);
    let uid = request.uid.or_else(|| before.as_ref().map(|stat| stat.st_uid));
    let gid = request.gid.or_else(|| before.as_ref().map(|stat| stat.st_gid));
    let write = |connection: &mut Connection, file: &OwnedFd| {
        connection.queue(&AgentFrame::WriteStarted(WriteStarted {}));
        let mut incoming = Incoming::new(connection);
        let target = rustix::io::fcntl_dupfd_cloexec(file, 3).map_err(cannot)?;
        io::copy(&mut incoming, &mut File::from(target))
            .and_then(|_| incoming.finish())
            .map_err(|error| stopped(&request.path, &error))
    };
    if request.atomic {
        let draft = Draft::create(&place).map_err(cannot)?;
        let bytes = write(connection, &draft.file)?;
        own(&draft.file, uid, gid, mode).map_err(cannot)?;
        draft.publish().map_err(cannot)?;
        Ok(bytes)
    } else {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&place.directory, &place.name, flags, Mode::from_raw_mode(0o600))
            .map_err(cannot)?;
        let stat = fstat(&file).map_err(cannot)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            let what = format_args!("write {}: it is no file", shown(&request.path));
            return Err(refused(RefusalCode::WrongKind, what));
        }
        ftruncate(&file, 0).map_err(cannot)?;
        let bytes = write(connection, &file)?;
        own(&file, uid, gid, mode).map_err(cannot)?;
        Ok(bytes)
    }
}

impl<'a> Draft<'a> {
    fn create(place: &'a Place) -> Result<Self, Errno> {
        static DRAFTS: AtomicU64 = AtomicU64::new(0);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        loop {
            let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
            let name =
                CString::new(format!(".smartvm-draft-{number}")).map_err(|_| Errno::INVAL)?;
            match openat(&place.directory, &name, flags, Mode::from_raw_mode(0o600)) {
                // Of a guest that was ended while it was written.
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
                Ok(file) => return Ok(Self { place, name, file }),
            }
        }
    }

    fn publish(self) -> Result<(), Errno> {
        let directory = &self.place.directory;
        renameat(directory, &self.name, directory, &self.place.name)
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // It is gone when it has its place.
        let _ = unlinkat(&self.place.directory, &self.name, AtFlags::empty());
    }
}

/// What went wrong on the way.
fn stopped(path: &[u8], error: &io::Error) -> Refusal {
    let what = format_args!("write {}", shown(path));
    match Errno::from_io_error(error) {
        Some(errno) => failed(RefusalCode::Failed, what, errno),
        None => refused(RefusalCode::Failed, format_args!("{what}: {error}")),
    }
}
