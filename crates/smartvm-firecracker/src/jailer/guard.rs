//! Ending a jail from outside.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::OFlags;

use super::STDERR_FIFO;
use crate::ProcessIdentity;
use crate::process::wait_readable;

/// The program, in a jail's directory, that the jail lives and dies with.
pub(crate) const GUARD: &str = "guard";
/// Which process it is, written down before anything else runs in the jail.
pub(crate) const GUARD_IDENTITY: &str = "guard.json";

/// How long a killed process may take to be gone.
const DYING_PATIENCE: Duration = Duration::from_secs(2);

/// Ends whatever runs in the jail with this directory, whoever started it, and waits up to two
/// seconds until that uses nothing of it any more. True when something was ended.
///
/// For a jail whose owner has died: the kernel ends its processes then, but takes a moment. Blocks.
///
/// # Errors
/// When the jail's directory cannot be read, or a process is not gone by then.
pub fn end_jail(dir: &Path) -> io::Result<bool> {
    let text = match fs_err::read(dir.join(GUARD_IDENTITY)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    // One that was not finished was followed by nothing.
    let Ok(guard) = serde_json::from_slice::<ProcessIdentity>(&text) else { return Ok(false) };
    let killed = guard.send_kill()?.is_some();
    // Not for the guard's own end: that is after those of all others have been collected, by an
    // init that may take its time.
    wait_until_closed(&dir.join("root").join(STDERR_FIFO))?;
    Ok(killed)
}

/// Waits until nobody has the FIFO open to write, as its standard error. A process that is dying
/// gives that up together with all else that it has open.
fn wait_until_closed(fifo: &Path) -> io::Result<()> {
    let mut options = fs_err::OpenOptions::new();
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let opened = options.read(true).custom_flags(flags.bits().cast_signed()).open(fifo);
    let mut fifo = match opened {
        Ok(fifo) => fifo,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let deadline = Instant::now() + DYING_PATIENCE;
    let mut rest = [0; 4096];
    loop {
        match fifo.read(&mut rest) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let patience = deadline.saturating_duration_since(Instant::now());
                if !wait_readable(fifo.file().as_fd(), patience) {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use rustix::process::{Pid, getgid, getuid};

    use super::super::make_stderr_fifo;
    use super::*;

    #[test]
    fn a_jail_that_nothing_runs_in_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!end_jail(dir.path()).unwrap());
        fs_err::write(dir.path().join(GUARD_IDENTITY), "{\"pid\":").unwrap();
        assert!(!end_jail(dir.path()).unwrap());
    }

    #[test]
    fn what_the_guard_takes_along_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs_err::create_dir(&root).unwrap();
        let ours = make_stderr_fifo(&root, getuid().as_raw(), getgid().as_raw()).unwrap();
        let mut guard = Command::new("cat").stdin(Stdio::piped()).stderr(ours.1).spawn().unwrap();
        let identity = ProcessIdentity::of(Pid::from_child(&guard)).unwrap();
        let text = serde_json::to_vec(&identity).unwrap();
        fs_err::write(dir.path().join(GUARD_IDENTITY), text).unwrap();
        assert!(end_jail(dir.path()).unwrap());
        // Its standard error was closed, so it is on its way.
        assert!(!guard.wait().unwrap().success());
        assert!(!end_jail(dir.path()).unwrap());
    }
}
