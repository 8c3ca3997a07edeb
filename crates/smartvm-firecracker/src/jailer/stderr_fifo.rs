//! How Firecracker's log comes out of a jail.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, chownat, fcntl_getfl, fcntl_setfl, mknodat, openat,
};
use rustix::process::{Gid, Uid};

/// The name of the FIFO in the jail.
pub(crate) const STDERR_FIFO: &str = "stderr.fifo";

/// Makes a FIFO in the jail and opens both of its ends, the one to read first.
///
/// Without `/proc` in the jail, Firecracker cannot open its own standard error as its log, as it
/// does elsewhere. So standard error is this FIFO, which has a name there.
pub(crate) fn make_stderr_fifo(root: &Path, uid: u32, gid: u32) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = openat(CWD, root, flags, Mode::empty())?;
    mknodat(&root, STDERR_FIFO, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    chownat(&root, STDERR_FIFO, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    // Neither waits for the other end.
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let reader = openat(&root, STDERR_FIFO, flags | OFlags::RDONLY, Mode::empty())?;
    let writer = openat(&root, STDERR_FIFO, flags | OFlags::WRONLY, Mode::empty())?;
    // As any program expects of its standard error.
    fcntl_setfl(&writer, fcntl_getfl(&writer)? - OFlags::NONBLOCK)?;
    Ok((reader, writer))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use rustix::process::{getgid, getuid};

    use super::*;

    #[test]
    fn what_is_written_by_name_or_by_descriptor_arrives() {
        let dir = tempfile::tempdir().unwrap();
        let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
        let (reader, writer) = make_stderr_fifo(dir.path(), uid, gid).unwrap();
        fs_err::write(dir.path().join(STDERR_FIFO), "by name").unwrap();
        std::fs::File::from(writer).write_all(b", by descriptor").unwrap();
        let mut text = String::new();
        std::fs::File::from(reader).read_to_string(&mut text).unwrap();
        assert_eq!(text, "by name, by descriptor");
        make_stderr_fifo(dir.path(), uid, gid).expect_err("there is one already");
    }
}
