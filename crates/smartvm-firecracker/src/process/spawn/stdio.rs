//! The pipes that are a child's standard streams.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::fcntl_dupfd_cloexec;
use rustix::pipe::{PipeFlags, pipe_with};

/// The first descriptor that is not a standard stream.
pub(super) const FIRST_OTHER: i32 = 3;

/// One side of the pipes of standard input, output and error.
#[derive(Debug)]
pub(super) struct Stdio {
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// Makes three pipes and tells our side of them and the child's.
///
/// None of them reaches a program that other code of this process starts. None of the child's is
/// a standard stream in this process: moving one into place could then overwrite another, or
/// leave one where it is and still marked to be closed.
///
/// `stderr` is used as the third when given, read end first.
pub(super) fn pipes(stderr: Option<(OwnedFd, OwnedFd)>) -> io::Result<(Stdio, Stdio)> {
    let (their_stdin, stdin) = pipe_with(PipeFlags::CLOEXEC)?;
    let (stdout, their_stdout) = pipe_with(PipeFlags::CLOEXEC)?;
    let (stderr, their_stderr) = match stderr {
        Some(pipe) => pipe,
        None => pipe_with(PipeFlags::CLOEXEC)?,
    };
    let theirs = Stdio {
        stdin: not_standard(their_stdin)?,
        stdout: not_standard(their_stdout)?,
        stderr: not_standard(their_stderr)?,
    };
    Ok((Stdio { stdin, stdout, stderr }, theirs))
}

/// Moves a descriptor that took the place of a standard stream which this process has closed.
fn not_standard(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() >= FIRST_OTHER {
        return Ok(fd);
    }
    Ok(fcntl_dupfd_cloexec(&fd, FIRST_OTHER)?)
}
