//! Files out of the guest.

use std::fs::File;
use std::io;

use rustix::fs::{FileType, OFlags, fstat};
use rustix::io::Errno;
use smartvm_protocol::agent::ReadStarted;
use smartvm_protocol::host::StartRead;
use smartvm_protocol::{AgentFrame, Refusal, RefusalCode};

use super::pack;
use super::place::{self, not_found};
use super::stream::Outgoing;
use crate::serve::connection::Connection;
use crate::serve::refused::{failed, refused, shown};

/// Sends a file, or a tree as a tar stream.
pub(crate) fn run(mut connection: Connection, request: &StartRead) {
    let done = if request.tree {
        pack::send(&mut connection, &request.path)
    } else {
        send(&mut connection, &request.path)
    };
    if let Err(refusal) = done {
        let _ = connection.send(&AgentFrame::Refused(refusal));
    }
}

fn send(connection: &mut Connection, path: &[u8]) -> Result<(), Refusal> {
    let cannot = |error| not_found(shown(path), error);
    // A pipe that nobody writes to does not hold us.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    let file = place::open_within(place::root()?, path, flags).map_err(cannot)?;
    let stat = fstat(&file).map_err(cannot)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(refused(
            RefusalCode::WrongKind,
            format_args!("read {}: it is no file", shown(path)),
        ));
    }
    connection.queue(&started(&stat));
    let mut outgoing = Outgoing::new(connection);
    let mut source = io::BufReader::with_capacity(64 << 10, File::from(file));
    io::copy(&mut source, &mut outgoing).map_err(|error| stopped(path, &error))?;
    outgoing.finish().map_err(|error| stopped(path, &error))
}

/// The answer to the start of it.
pub(super) fn started(stat: &rustix::fs::Stat) -> AgentFrame {
    AgentFrame::ReadStarted(ReadStarted {
        size: u64::try_from(stat.st_size).ok(),
        mode: stat.st_mode,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: stat.st_mtime,
    })
}

/// What went wrong on the way.
pub(super) fn stopped(path: &[u8], error: &io::Error) -> Refusal {
    let what = format_args!("read {}", shown(path));
    match Errno::from_io_error(error) {
        Some(errno) => failed(RefusalCode::Failed, what, errno),
        None => refused(RefusalCode::Failed, format_args!("{what}: {error}")),
    }
}
