//! A named pipe that Firecracker writes to.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::buffer::spare_capacity;
use rustix::fs::{FileType, Mode, OFlags, fstat, mknodat, openat};
use rustix::io::Errno;
use rustix::pipe::fcntl_setpipe_size;
use smartvm_dir::FileAt;
use tokio::net::unix::pipe;

/// How much the pipe holds while nobody reads: what exceeds it Firecracker drops, and counts. One
/// flush of the metrics of a VM with all the devices that are possible must fit, or half of it
/// would be lost. 256 KiB is within what an unprivileged user may ask for.
pub(crate) const CAPACITY: usize = 256 * 1024;

/// Read at once.
const READ_SIZE: usize = 16 * 1024;

/// A named pipe (FIFO) for what Firecracker writes, opened by us before Firecracker is told of it.
///
/// It is open for writing, too, on our side: so Firecracker's opening of it never waits nor fails
/// for want of a reader, its writing never ends in SIGPIPE, and we see no end of it in between.
/// Firecracker writes without waiting and drops what a full pipe does not take, hence nothing that
/// we do or omit can hold it up. Once it is open, what becomes of its name does not matter.
#[derive(Debug, Clone)]
pub struct Fifo {
    name: PathBuf,
    fd: Arc<OwnedFd>,
}

impl Fifo {
    /// Makes a pipe, readable and writable by us alone, and opens it. Firecracker will be told `name`, which
    /// is how it sees that file.
    ///
    /// The file stays until its directory goes.
    ///
    /// # Errors
    /// When something is there already, or no pipe can be made there.
    pub fn create(file: impl Into<FileAt>, name: impl Into<PathBuf>) -> io::Result<Self> {
        let file = file.into();
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(file.dir(), file.name(), FileType::Fifo, mode, 0)?;
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(file.dir(), file.name(), flags, Mode::empty())?;
        if FileType::from_raw_mode(fstat(&fd)?.st_mode) != FileType::Fifo {
            return Err(io::Error::other("something else took the place of a new pipe"));
        }
        if let Err(error) = fcntl_setpipe_size(&fd, CAPACITY) {
            // A user with many pipes gets no larger ones; the usual 64 KiB do in most cases.
            tracing::debug!(%error, "a pipe keeps its usual size");
        }
        Ok(Self { name: name.into(), fd: Arc::new(fd) })
    }

    /// The name that Firecracker is told.
    #[must_use]
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// The reading end, watched by the current runtime.
    pub(crate) fn reader(&self) -> io::Result<FifoReader> {
        let watched = pipe::Receiver::from_owned_fd(self.fd.try_clone()?)?;
        Ok(FifoReader { watched, fd: Arc::clone(&self.fd) })
    }
}

/// Reads a [`Fifo`].
#[derive(Debug)]
pub(crate) struct FifoReader {
    watched: pipe::Receiver,
    fd: Arc<OwnedFd>,
}

impl FifoReader {
    /// Waits for a piece. Cancel safe.
    pub(crate) async fn next(&self) -> io::Result<Vec<u8>> {
        let mut buffer = Vec::with_capacity(READ_SIZE);
        loop {
            self.watched.readable().await?;
            match self.watched.try_read_buf(&mut buffer) {
                Ok(_) => return Ok(buffer),
                Err(error) if is_transient(error.kind()) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// A piece of what is there at this moment; `None` when nothing is. It asks the kernel, as the
    /// runtime may not have heard yet of what was written just now.
    pub(crate) fn now(&self) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = Vec::with_capacity(READ_SIZE);
        loop {
            match rustix::io::read(&self.fd, spare_capacity(&mut buffer)) {
                Ok(_) => return Ok(Some(buffer)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

fn is_transient(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn writer(path: &Path) -> fs_err::File {
        fs_err::OpenOptions::new().write(true).open(path).unwrap()
    }

    #[tokio::test]
    async fn a_pipe_is_private_and_outlives_its_name_and_its_writers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.fifo");
        let fifo = Fifo::create(path.as_path(), "log.fifo").unwrap();
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let reader = fifo.reader().unwrap();
        writer(&path).write_all(b"one").unwrap();
        assert_eq!(reader.next().await.unwrap(), b"one");
        let mut second = writer(&path);
        fs_err::remove_file(&path).unwrap();
        second.write_all(b"two").unwrap();
        assert_eq!(reader.now().unwrap().unwrap(), b"two");
        assert_eq!(reader.now().unwrap(), None, "no end, although nobody writes any more");
    }

    #[test]
    fn what_is_there_already_is_not_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.fifo");
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        assert_eq!(Fifo::create(path.as_path(), "x").unwrap_err().kind(), ErrorKind::AlreadyExists);
    }
}
