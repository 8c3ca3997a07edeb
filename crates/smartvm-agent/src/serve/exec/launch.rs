//! Starting a program: everything that the new process does before it becomes the program.
//!
//! The agent has several threads, so between its birth and the program the process may do nothing but system calls:
//! another thread may have held any lock of this memory when it was copied. All that it needs is made before.

#![expect(unsafe_code, reason = "rustix makes no processes")]

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use rustix::process::{Pid, Resource, Rlimit, setrlimit};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// From Linux 5.7 on: the new process is born in a control group.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// What `clone3` is told, as of Linux 5.7.
#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// A program that is ready to be started.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) program: CString,
    pub(crate) argv: Vec<CString>,
    pub(crate) env: Vec<CString>,
    pub(crate) cwd: CString,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) open_files: Rlimit,
    /// What becomes its standard input, output and error.
    pub(crate) stdio: [OwnedFd; 3],
    /// Whether they are a terminal, to be its own.
    pub(crate) terminal: bool,
}

/// What a new process was doing when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    Session = 1,
    Stdio,
    Identity,
    Directory,
    Program,
}

impl Stage {
    const ALL: [Self; 5] =
        [Self::Session, Self::Stdio, Self::Identity, Self::Directory, Self::Program];

    /// What it wrote before it ended, if it did.
    pub(crate) fn read(report: &[u8]) -> Option<(Self, Errno)> {
        let (stage, errno) = report.split_first()?;
        let stage = Self::ALL.into_iter().find(|known| *known as u8 == *stage)?;
        let errno = i32::from_le_bytes(errno.try_into().ok()?);
        Some((stage, Errno::from_raw_os_error(errno)))
    }
}

/// Pointers as the kernel wants them, with a null behind the last.
struct Pointers(Vec<*const libc::c_char>);

impl Pointers {
    fn of(texts: &[CString]) -> Self {
        let pointers = texts.iter().map(|text| text.as_ptr());
        Self(pointers.chain([std::ptr::null()]).collect())
    }
}

impl Launch {
    /// Makes the process, in `group` if there is one. What it cannot do it writes to `report`, which closes when it
    /// becomes the program.
    pub(crate) fn start(
        &self,
        group: Option<BorrowedFd<'_>>,
        report: &OwnedFd,
    ) -> Result<Pid, Errno> {
        let (argv, env) = (Pointers::of(&self.argv), Pointers::of(&self.env));
        let groups: Vec<Gid> = self.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
        let mut arguments = CloneArguments {
            exit_signal: libc::SIGCHLD.unsigned_abs().into(),
            ..CloneArguments::default()
        };
        if let Some(group) = group {
            arguments.flags |= CLONE_INTO_CGROUP;
            arguments.cgroup = group.as_raw_fd().unsigned_abs().into();
        }
        // SAFETY: without CLONE_VM the new process has a copy of this memory, as after `fork`, and returns here as well.
        // It does nothing but the system calls of `become_program`, which ends in the program or in `_exit`.
        let pid = unsafe {
            libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<CloneArguments>())
        };
        match pid {
            0 => self.become_program(&argv, &env, &groups, report),
            1.. => Pid::from_raw(i32::try_from(pid).map_err(|_| Errno::RANGE)?).ok_or(Errno::RANGE),
            _ => Err(last_error()),
        }
    }

    fn become_program(
        &self,
        argv: &Pointers,
        env: &Pointers,
        groups: &[Gid],
        report: &OwnedFd,
    ) -> ! {
        let failure = self.try_to_become_program(argv, env, groups);
        let [a, b, c, d] = failure.1.raw_os_error().to_le_bytes();
        let _ = rustix::io::write(report, &[failure.0 as u8, a, b, c, d]);
        // SAFETY: it ends the process and touches no memory.
        unsafe { libc::_exit(127) }
    }

    fn try_to_become_program(
        &self,
        argv: &Pointers,
        env: &Pointers,
        groups: &[Gid],
    ) -> (Stage, Errno) {
        if let Err(error) = rustix::process::setsid() {
            return (Stage::Session, error);
        }
        if let Err(error) = self.take_stdio() {
            return (Stage::Stdio, error);
        }
        // The agent is the last to be killed when memory runs out, its programs are as likely as any. A guest without
        // /proc has no such order.
        give_up_protection();
        // Lower than ours, or the same.
        let _ = setrlimit(Resource::Nofile, self.open_files);
        if let Err(error) = self.take_identity(groups) {
            return (Stage::Identity, error);
        }
        if let Err(error) = rustix::process::chdir(self.cwd.as_c_str()) {
            return (Stage::Directory, error);
        }
        rustix::process::umask(Mode::from_raw_mode(0o022));
        restore_signals();
        close_others();
        // SAFETY: the path and the texts end in a zero, the lists in a null, and all of them live on.
        unsafe { libc::execve(self.program.as_ptr(), argv.0.as_ptr(), env.0.as_ptr()) };
        (Stage::Program, last_error())
    }

    fn take_stdio(&self) -> Result<(), Errno> {
        if self.terminal {
            rustix::process::ioctl_tiocsctty(&self.stdio[0])?;
        }
        rustix::stdio::dup2_stdin(&self.stdio[0])?;
        rustix::stdio::dup2_stdout(&self.stdio[1])?;
        rustix::stdio::dup2_stderr(&self.stdio[2])
    }

    fn take_identity(&self, groups: &[Gid]) -> Result<(), Errno> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        set_thread_groups(groups)?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)
    }
}

fn give_up_protection() {
    const PATH: &CStr = c"/proc/self/oom_score_adj";
    if let Ok(file) = rustix::fs::open(PATH, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
        let _ = rustix::io::write(file.as_fd(), b"0");
    }
}

/// Rust ignores one signal and the agent blocks some: a program begins with neither.
fn restore_signals() {
    // SAFETY: an empty set is all zeroes, and it and the default action are handlers of no code of ours.
    unsafe {
        let empty: libc::sigset_t = std::mem::zeroed();
        libc::sigprocmask(libc::SIG_SETMASK, &raw const empty, std::ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

/// All of ours close by themselves; this is for what a library may have forgotten. Linux has it from 5.11 on.
fn close_others() {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    // SAFETY: it marks descriptors and touches no memory.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, CLOSE_RANGE_CLOEXEC) };
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_reports_is_read_and_anything_else_is_not() {
        let [a, b, c, d] = Errno::NOENT.raw_os_error().to_le_bytes();
        assert_eq!(Stage::read(&[5, a, b, c, d]), Some((Stage::Program, Errno::NOENT)));
        for report in [&[][..], &[5, 1], &[0, 1, 0, 0, 0], &[9, 1, 0, 0, 0]] {
            assert_eq!(Stage::read(report), None);
        }
    }
}
