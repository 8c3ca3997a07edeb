//! A process as a record knows it, to be found again by another process.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, CWD, fstat, statat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// How long a killed process may take to be gone.
const DYING_PATIENCE: Duration = Duration::from_secs(1);

/// Where the start time stands behind the closing parenthesis of `/proc/<pid>/stat`: it is field
/// 22, and field 3 comes first there.
const START_TIME_INDEX: usize = 22 - 3;

/// Names one process for as long as the host runs and beyond: a pid may come to mean another
/// process, with its start time and the boot it started in it does not.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessIdentity {
    /// The process id.
    pub pid: u32,
    /// When it started, in clock ticks after the host's boot.
    pub start_time: u64,
    /// The host's boot, as `/proc/sys/kernel/random/boot_id` tells it.
    pub boot_id: String,
}

impl ProcessIdentity {
    /// The identity of the process that has this id now.
    ///
    /// # Errors
    /// When there is no such process, or `/proc` cannot be read.
    pub fn of(pid: Pid) -> io::Result<Self> {
        let stat = Stat::read(pid.as_raw_pid().unsigned_abs())?;
        Ok(Self {
            pid: pid.as_raw_pid().unsigned_abs(),
            start_time: stat.start_time,
            boot_id: boot_id()?.to_owned(),
        })
    }

    /// Whether this very process is known to run still. One that ended and was not reaped does not. Who removes what is
    /// its asks whether it [`lives`](Self::lives).
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.matches().unwrap_or(false)
    }

    /// Whether this very process still runs, for who removes what is its when it does not: that it is not known is no
    /// answer.
    ///
    /// # Errors
    /// When `/proc` cannot be read, as without a free descriptor.
    pub fn lives(&self) -> io::Result<bool> {
        self.matches()
    }

    /// Kills the process if it is still this one, and waits up to a second for it to be gone.
    ///
    /// Blocks. True when it was killed, false when it was not there any more; another process
    /// that got its pid is not touched.
    ///
    /// # Errors
    /// When it may not be killed, or is not gone after a second.
    pub fn kill(&self) -> io::Result<bool> {
        let Some(pidfd) = self.send_kill()? else { return Ok(false) };
        if has_ended(&pidfd)? {
            Ok(true)
        } else {
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("process {} is not gone {DYING_PATIENCE:?} after it was killed", self.pid),
            ))
        }
    }

    /// Kills the process if it is still this one, without waiting. None when it was not there any
    /// more.
    ///
    /// # Errors
    /// When it may not be killed.
    pub fn send_kill(&self) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(Errno::SRCH) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        // Only now: what the pidfd means cannot change any more.
        if !self.matches()? {
            return Ok(None);
        }
        match pidfd_send_signal(&pidfd, Signal::KILL) {
            Ok(()) => Ok(Some(pidfd)),
            Err(Errno::SRCH) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether the process works in the directory, or has it as its root directory: so a record in a
    /// directory speaks for the processes of that directory only.
    ///
    /// # Errors
    /// When it may not be looked at.
    pub fn is_in(&self, dir: impl AsFd) -> io::Result<bool> {
        Ok((self.has("cwd", &dir)? || self.has("root", &dir)?) && self.is_alive())
    }

    /// Waits up to a second for the end of a process that has begun to end by itself: it works in no
    /// directory any more, and is still there.
    pub fn wait_if_ending(&self) {
        let deadline = Instant::now() + DYING_PATIENCE;
        let cwd = format!("/proc/{}/cwd", self.pid);
        while self.is_alive()
            && matches!(statat(CWD, &cwd, AtFlags::empty()), Err(Errno::NOENT))
            && Instant::now() < deadline
        {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether the process runs this file.
    ///
    /// # Errors
    /// When it may not be looked at.
    pub fn runs(&self, program: impl AsFd) -> io::Result<bool> {
        Ok(self.has("exe", &program)? && self.is_alive())
    }

    /// Whether one of the process' own files, by its name in `/proc`, is this one.
    fn has(&self, name: &str, file: impl AsFd) -> io::Result<bool> {
        let ours = fstat(file)?;
        match statat(CWD, format!("/proc/{}/{name}", self.pid), AtFlags::empty()) {
            Ok(theirs) => Ok((theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)),
            Err(Errno::NOENT | Errno::SRCH) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    fn matches(&self) -> io::Result<bool> {
        if boot_id()? != self.boot_id {
            return Ok(false);
        }
        match Stat::read(self.pid) {
            Ok(stat) => Ok(stat.start_time == self.start_time && !stat.is_dead()),
            // Gone between opening the file and reading it gives ESRCH.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Whether the process with this id stands still, by a signal or a debugger, until it is let go on.
#[must_use]
pub fn is_stopped(pid: u32) -> bool {
    Stat::read(pid).is_ok_and(|stat| matches!(stat.state, 'T' | 't'))
}

/// Waits for a process that was killed.
fn has_ended(pidfd: &OwnedFd) -> io::Result<bool> {
    let deadline = Instant::now() + DYING_PATIENCE;
    loop {
        let patience = deadline.saturating_duration_since(Instant::now());
        let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&patience)) {
            Err(Errno::INTR) => {}
            ready => return Ok(ready? > 0),
        }
    }
}

/// The process went between the opening of one of its files in `/proc` and the reading of it.
fn is_gone(error: &io::Error) -> bool {
    let srch = Errno::SRCH.raw_os_error();
    error.raw_os_error() == Some(srch)
        || error.get_ref().is_some_and(|_| error.kind() == io::Error::from(Errno::SRCH).kind())
}

/// What `/proc/<pid>/stat` tells of a process.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    start_time: u64,
}

impl Stat {
    fn read(pid: u32) -> io::Result<Self> {
        let path = format!("/proc/{pid}/stat");
        let text = fs_err::read(&path)?;
        Self::parse(&String::from_utf8_lossy(&text)).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{path} is not in its known form"))
        })
    }

    /// The program's name, in parentheses, may itself hold parentheses and spaces.
    fn parse(text: &str) -> Option<Self> {
        let (_, fields) = text.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let start_time = fields.nth(START_TIME_INDEX - 1)?.parse().ok()?;
        Some(Self { state, start_time })
    }

    const fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

fn boot_id() -> io::Result<&'static str> {
    static BOOT_ID: OnceLock<String> = OnceLock::new();
    if let Some(id) = BOOT_ID.get() {
        return Ok(id);
    }
    let id = fs_err::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(BOOT_ID.get_or_init(|| id.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use proptest::prelude::*;
    use rustix::process::getpid;

    use super::*;

    #[test]
    fn this_process_is_alive_and_one_with_another_start_is_not_it() {
        let me = ProcessIdentity::of(getpid()).unwrap();
        assert!(me.is_alive());
        let other = ProcessIdentity { start_time: me.start_time + 1, ..me.clone() };
        assert!(!other.is_alive());
        assert!(!other.kill().unwrap(), "and must not be killed in its place");
        let before_reboot = ProcessIdentity { boot_id: "another".to_owned(), ..me };
        assert!(!before_reboot.is_alive());
    }

    #[test]
    fn a_killed_process_is_gone_even_before_it_is_reaped() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let identity = ProcessIdentity::of(pid).unwrap();
        assert!(identity.kill().unwrap());
        assert!(!identity.is_alive());
        child.wait().unwrap();
        assert!(!identity.kill().unwrap());
    }

    #[test]
    fn a_process_is_known_by_where_it_works_and_what_it_runs() {
        let dir = tempfile::tempdir().unwrap();
        let open = |path: &str| fs_err::File::open(path).unwrap().into_file();
        let here = open(dir.path().to_str().unwrap());
        let mut child = Command::new("/bin/cat");
        let mut child = child.current_dir(dir.path()).stdin(Stdio::piped()).spawn().unwrap();
        let identity = ProcessIdentity::of(Pid::from_child(&child)).unwrap();
        assert!(identity.is_in(&here).unwrap());
        assert!(identity.runs(open("/bin/cat")).unwrap());
        assert!(!identity.runs(open("/bin/sleep")).unwrap());
        assert!(!identity.is_in(open("/usr")).unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!identity.is_in(&here).unwrap());
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let text = "7 (a) S 1 (b) R 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 0 0";
        assert_eq!(Stat::parse(text), Some(Stat { state: 'R', start_time: 4242 }));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,80}") {
            let _ = Stat::parse(&text);
        }
    }
}
