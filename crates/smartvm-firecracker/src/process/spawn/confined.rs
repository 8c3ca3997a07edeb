//! Programs that are kept apart from the host, and that cannot outlive this process.
//!
//! A program that changes its user loses its parent-death signal: the kernel clears it. What ends a
//! confined program with its owner is therefore the PID namespace that it runs in. The first process
//! there is a [`Guard`], which keeps its own death signal as it stays the user that we are, and
//! which ends as well when the pipe that only we hold is closed. When it ends, whatever is left in
//! the namespace is killed.
//!
//! The confined program is nevertheless our own child, with a pidfd and an exit status, and not the
//! namespace's first process, for which signals such as SIGTERM would mean nothing.
#![expect(unsafe_code, reason = "neither std nor rustix enter a PID namespace through a pidfd")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::process::Pid;

use super::argv::Argv;
use super::clone::{self, Setting};
use super::guard_program::guard_program;
use super::mount::Mount;
use super::stack::Stack;
use super::stdio::{Stdio, pipes};
use crate::process::child::Child;
use smartvm_dir::ProcessIdentity;

/// How often a guard's program is tried that something else of this process holds open.
const BUSY_ATTEMPTS: u32 = 1000;
const BUSY_DELAY: Duration = Duration::from_micros(200);

/// What keeps a program apart.
#[derive(Debug, Default)]
pub(crate) struct Confinement {
    /// Where the guard's program is made: a path where nothing is yet, on a file system that
    /// programs can be started from.
    pub(crate) guard: PathBuf,
    /// Where it is written down which process the guard is, before the program starts.
    pub(crate) guard_identity: PathBuf,
    /// The directory of the control group that it joins before it starts.
    pub(crate) cgroup: Option<PathBuf>,
    /// What is mounted for it alone.
    pub(crate) mounts: Vec<Mount>,
}

/// The first process of a PID namespace. Dropping it ends every process there.
#[derive(Debug)]
pub(crate) struct Guard {
    child: Child,
    /// Closed when this process ends, however it does, and the guard ends with that.
    _lifeline: OwnedFd,
}

impl Guard {
    /// Starts a guard in a PID namespace of its own. Must be called on the thread that starts
    /// programs: the guard dies with it.
    pub(super) fn start(program: &Path, stack: &mut Stack) -> io::Result<Self> {
        write_program(program)?;
        let argv = Argv::new(program.to_owned(), Vec::new())?;
        let (ours, theirs) = pipes(None)?;
        let setting = Setting {
            dies_with_thread: true,
            new_pid_namespace: true,
            working_dir: Some(c"/"),
            ..Setting::default()
        };
        let mut attempts = 0;
        let (pid, pidfd) = loop {
            match clone::start(stack, &argv, &theirs, &setting) {
                // A fork elsewhere in this process still holds the descriptor that we wrote
                // through; it is gone as soon as that child has become its program.
                Err(error)
                    if error.kind() == io::ErrorKind::ExecutableFileBusy
                        && attempts < BUSY_ATTEMPTS =>
                {
                    attempts += 1;
                    thread::sleep(BUSY_DELAY);
                }
                started => break started?,
            }
        };
        Ok(Self { child: Child::new(pid, pidfd, None), _lifeline: ours.stdin })
    }

    /// Starts a program in the guard's namespace, as a child of this process.
    pub(super) fn start_inside(
        &self,
        confinement: &Confinement,
        argv: &Argv,
        stdio: &Stdio,
        setting: Setting<'_>,
    ) -> io::Result<(Pid, OwnedFd)> {
        let identity = serde_json::to_vec(&ProcessIdentity::of(self.child.pid())?)?;
        fs_err::write(&confinement.guard_identity, identity)?;
        let cgroup = confinement
            .cgroup
            .as_deref()
            .map(|dir| fs_err::OpenOptions::new().write(true).open(dir.join("cgroup.procs")));
        let cgroup = cgroup.transpose()?;
        let setting = Setting {
            cgroup: cgroup.as_ref().map(|procs| procs.file().as_fd()),
            mounts: &confinement.mounts,
            ..setting
        };
        // On a thread of its own: one that has entered another namespace need not come back.
        thread::scope(|scope| {
            let started = scope.spawn(|| {
                self.enter()?;
                clone::start(&mut Stack::new()?, argv, stdio, &setting)
            });
            started.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
        })
    }

    /// Makes the children of the calling thread start in the guard's namespace.
    fn enter(&self) -> io::Result<()> {
        // SAFETY: the call takes numbers only; it concerns future children of this thread.
        let entered = unsafe { libc::setns(self.child.pidfd().as_raw_fd(), libc::CLONE_NEWPID) };
        if entered == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

fn write_program(path: &Path) -> io::Result<()> {
    let mut options = fs_err::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o700).open(path)?;
    io::Write::write_all(&mut file, &guard_program())
}
