//! Ending a jail from outside.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FileType, OFlags, Stat};
use smartvm_dir::{PrivateDir, ProcessIdentity};

use super::STDERR_FIFO;
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
pub fn end_jail(dir: &PrivateDir) -> io::Result<bool> {
    let Some(text) = dir.read(GUARD_IDENTITY)? else { return Ok(false) };
    // One that was not finished was followed by nothing.
    let Ok(guard) = serde_json::from_slice::<ProcessIdentity>(&text) else { return Ok(false) };
    // What is no guard of this jail is not touched, whatever is written down.
    let program = match dir.open(GUARD, OFlags::PATH) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        program => program?,
    };
    let killed = guard.runs(program.file())? && guard.send_kill()?.is_some();
    // Not for the guard's own end: that is after those of all others have been collected, by an
    // init that may take its time.
    wait_until_closed(dir)?;
    Ok(killed)
}

/// Whether the guard of a jail lives, and so its owner.
///
/// # Errors
/// When the jail's directory cannot be read.
pub fn jail_lives(dir: &PrivateDir) -> io::Result<bool> {
    let guard = dir.read(GUARD_IDENTITY)?;
    let guard = guard.and_then(|text| serde_json::from_slice::<ProcessIdentity>(&text).ok());
    guard.map_or(Ok(false), |guard| guard.lives())
}

/// Waits until nobody has the FIFO open to write, as its standard error. A process that is dying
/// gives that up together with all else that it has open.
fn wait_until_closed(dir: &PrivateDir) -> io::Result<()> {
    let name = Path::new("root").join(STDERR_FIFO);
    let is_fifo = |found: Stat| FileType::from_raw_mode(found.st_mode) == FileType::Fifo;
    if !dir.stat(&name)?.is_some_and(is_fifo) {
        // The VM has put something else there, which tells nothing, and could not even be opened.
        return Ok(());
    }
    let mut fifo = match dir.open(&name, OFlags::RDONLY) {
        Ok(fifo) => fifo,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !fifo.metadata()?.file_type().is_fifo() {
        return Ok(());
    }
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
    fn a_jail_ends_whatever_is_in_the_place_of_its_standard_error() {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::ensure(home.path()).unwrap();
        let fifo = home.path().join("root").join(STDERR_FIFO);
        fs_err::create_dir(home.path().join("root")).unwrap();
        wait_until_closed(&dir).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &fifo).unwrap();
        wait_until_closed(&dir).unwrap();
        fs_err::remove_file(&fifo).unwrap();
        let socket = std::os::unix::net::UnixListener::bind(&fifo).unwrap();
        wait_until_closed(&dir).unwrap();
        drop(socket);
        fs_err::remove_file(&fifo).unwrap();
        fs_err::create_dir(&fifo).unwrap();
        wait_until_closed(&dir).unwrap();
    }

    #[test]
    fn a_jail_that_nothing_runs_in_has_ended() {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::ensure(home.path()).unwrap();
        assert!(!end_jail(&dir).unwrap());
        dir.write(GUARD_IDENTITY, b"{\"pid\":").unwrap();
        assert!(!end_jail(&dir).unwrap());
    }

    #[test]
    fn what_the_guard_takes_along_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs_err::create_dir(&root).unwrap();
        let ours = make_stderr_fifo(&root, getuid().as_raw(), getgid().as_raw()).unwrap();
        fs_err::copy("/bin/cat", dir.path().join(GUARD)).unwrap();
        let jail = PrivateDir::ensure(dir.path()).unwrap();
        let mut guard = Command::new(dir.path().join(GUARD))
            .stdin(Stdio::piped())
            .stderr(ours.1)
            .spawn()
            .unwrap();
        let identity = ProcessIdentity::of(Pid::from_child(&guard)).unwrap();
        let text = serde_json::to_vec(&identity).unwrap();
        fs_err::write(dir.path().join(GUARD_IDENTITY), text).unwrap();
        assert!(end_jail(&jail).unwrap());
        // Its standard error was closed, so it is on its way.
        assert!(!guard.wait().unwrap().success());
        assert!(!end_jail(&jail).unwrap());
    }

    #[test]
    fn a_process_that_is_no_guard_of_the_jail_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::ensure(home.path()).unwrap();
        fs_err::copy("/bin/cat", home.path().join(GUARD)).unwrap();
        let mut stranger = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let identity = ProcessIdentity::of(Pid::from_child(&stranger)).unwrap();
        dir.write(GUARD_IDENTITY, &serde_json::to_vec(&identity).unwrap()).unwrap();
        assert!(!end_jail(&dir).unwrap());
        assert!(stranger.try_wait().unwrap().is_none());
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }
}
