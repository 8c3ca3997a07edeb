//! Making the child, and all that it does before it becomes the program.
//!
//! It is what `posix_spawn` does: the child borrows the memory of this process, on a stack of its
//! own, while the thread that made it stands still. A `fork` copies the page tables instead:
//! 0.5 ms in a small process, 30 ms in one with 512 MiB. `posix_spawn` itself can neither ask for
//! a death signal nor give a pidfd.
#![expect(unsafe_code, reason = "neither std nor rustix can make such a child")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::io::{Errno, write};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, chdir, getpid, getppid, kill_process,
    set_parent_process_death_signal, setpgid, setrlimit, waitid,
};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::argv::Argv;
use super::mount::{Mount, mount_all};
use super::stack::Stack;
use super::stdio::{FIRST_OTHER, Stdio};

/// The exit code of a child that could not become the program, as shells have it.
const NOT_STARTED: c_int = 127;

/// As the kernel numbers and stores signals, including those that the C library keeps to itself.
const SIGNALS: std::ops::RangeInclusive<c_int> = 1..=64;
const SIGNAL_SET_SIZE: usize = size_of::<u64>();

/// Starts a program, with no environment and no descriptor but its standard streams, in a process
/// group of its own, with no signal blocked, caught, or, as for SIGPIPE, ignored for Rust's sake.
///
/// Where it runs and who sees it is told by `setting`.
pub(super) fn start(
    stack: &mut Stack,
    argv: &Argv,
    stdio: &Stdio,
    setting: &Setting<'_>,
) -> io::Result<(Pid, OwnedFd)> {
    let failure = AtomicI32::new(0);
    let plan = Plan { argv, stdio, setting, parent: getpid(), failure: &failure };
    let argument = ptr::from_ref(&plan).cast_mut().cast::<c_void>();
    let mut flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    if setting.new_pid_namespace {
        flags |= libc::CLONE_NEWPID;
    }
    let mut pidfd: c_int = -1;
    let pidfd_place = ptr::from_mut(&mut pidfd);
    // No handler of this process may run in the child, where it would act on our memory.
    let blocked_before = set_blocked_signals(u64::MAX);
    // SAFETY: `become_program` gets the plan that it takes. The call returns when the child has
    // ended or become the program, so that the plan and the stack outlive its use of them, and
    // nobody else runs on the stack, being borrowed exclusively. The child shares the memory of
    // other threads' locks and allocations, but calls nothing that uses them.
    let pid = unsafe { libc::clone(become_program, stack.top(), flags, argument, pidfd_place) };
    let error = io::Error::last_os_error();
    set_blocked_signals(blocked_before);
    let Some(pid) = Pid::from_raw(pid.max(0)) else { return Err(error) };
    if pidfd < 0 {
        // Kernels before 5.2 pass over the flag, and Firecracker runs on none of them.
        let _killed = kill_process(pid, Signal::KILL);
        let _reaped = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
        return Err(Errno::NOSYS.into());
    }
    // SAFETY: the kernel made this descriptor for us alone.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    match failure.load(Ordering::Relaxed) {
        0 => Ok((pid, pidfd)),
        errno => {
            // It has ended. The call fails only if other code reaped it first.
            let _reaped = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
            Err(io::Error::from_raw_os_error(errno))
        }
    }
}

/// What surrounds a program.
#[derive(Debug, Default)]
pub(super) struct Setting<'a> {
    /// Where it runs; where this process does when absent.
    pub(super) working_dir: Option<&'a CStr>,
    /// Whether the kernel kills it when the calling *thread* ends.
    pub(super) dies_with_thread: bool,
    /// Whether it is the first process of a new PID namespace.
    pub(super) new_pid_namespace: bool,
    /// The file `cgroup.procs` of the control group that it joins.
    pub(super) cgroup: Option<BorrowedFd<'a>>,
    /// How many files it may have open, if not as many as this process.
    pub(super) open_files: Option<Rlimit>,
    /// What is mounted for it, in a mount namespace of its own, before it starts.
    pub(super) mounts: &'a [Mount],
}

/// What the child is to do.
struct Plan<'a> {
    argv: &'a Argv,
    stdio: &'a Stdio,
    setting: &'a Setting<'a>,
    parent: Pid,
    /// Where the child leaves the error when it did not become the program.
    failure: &'a AtomicI32,
}

/// The child's main function. When it returns, the child exits with that code.
extern "C" fn become_program(plan: *mut c_void) -> c_int {
    // SAFETY: `start` passes a plan and keeps it until the child is done.
    let plan = unsafe { &*plan.cast::<Plan<'_>>() };
    let error = match plan.prepare() {
        Ok(()) => plan.exec(),
        Err(error) => error,
    };
    plan.failure.store(error.raw_os_error(), Ordering::Relaxed);
    NOT_STARTED
}

/// Both run in the child: system calls only, no allocation, no lock, no panic.
impl Plan<'_> {
    fn prepare(&self) -> Result<(), Errno> {
        reset_signal_handlers();
        setpgid(None, None)?;
        if self.setting.dies_with_thread {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // Had the parent died before that call, no signal would ever come. In a new PID
            // namespace the parent has no number: who starts a program there has to see to it.
            if !self.setting.new_pid_namespace && getppid() != Some(self.parent) {
                return Err(Errno::SRCH);
            }
        }
        if let Some(cgroup) = self.setting.cgroup {
            // Zero is whoever writes.
            write(cgroup, b"0")?;
        }
        mount_all(self.setting.mounts)?;
        if let Some(dir) = self.setting.working_dir {
            chdir(dir)?;
        }
        dup2_stdin(&self.stdio.stdin)?;
        dup2_stdout(&self.stdio.stdout)?;
        dup2_stderr(&self.stdio.stderr)?;
        close_others();
        if let Some(limit) = &self.setting.open_files {
            setrlimit(Resource::Nofile, *limit)?;
        }
        Ok(())
    }

    fn exec(&self) -> Errno {
        let environment: [*const c_char; 1] = [ptr::null()];
        set_blocked_signals(0);
        // SAFETY: all three are as the call takes them, see `Argv`. It changes none of our memory.
        unsafe { libc::execve(self.argv.path(), self.argv.pointers(), environment.as_ptr()) };
        // Of the calling thread's errno, which is this child's for the time being.
        Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL)
    }
}

/// Sets which signals wait, one bit each, and tells which did. Takes the kernel's word rather than
/// the C library's set, which leaves out two signals.
fn set_blocked_signals(signals: u64) -> u64 {
    let mut before = 0_u64;
    let (new, old) = (ptr::from_ref(&signals), ptr::from_mut(&mut before));
    // SAFETY: both are sets of the size told. It cannot fail.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, new, old, SIGNAL_SET_SIZE)
    };
    before
}

/// Has no signal run a handler of ours once they are let through, and gives SIGPIPE, which every
/// Rust program ignores, its effect back. Not by the C library's function, which takes a lock.
fn reset_signal_handlers() {
    for signal in SIGNALS {
        // The kernel's own structure: the handler comes first, and all zero is the default.
        let default = [0_u64; 4];
        let mut current = [0_u64; 4];
        let (none, old) = (ptr::null::<u64>(), current.as_mut_ptr());
        // SAFETY: the kernel writes at most 32 bytes.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, none, old, SIGNAL_SET_SIZE) };
        let is_caught = current[0] != libc::SIG_DFL as u64 && current[0] != libc::SIG_IGN as u64;
        if is_caught || signal == libc::SIGPIPE {
            let (new, none) = (default.as_ptr(), ptr::null_mut::<u64>());
            // SAFETY: the kernel reads at most 32 bytes. Dispositions are the child's own.
            unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, new, none, SIGNAL_SET_SIZE) };
        }
    }
}

/// Keeps descriptors that other code of this program left inheritable from reaching the child.
/// Marks them, as the program's path may lead through one; kernels before 5.11 can only close
/// them. On those before 5.9 it loses a defence: all our own are marked from the start.
fn close_others() {
    for flags in [libc::CLOSE_RANGE_CLOEXEC, 0] {
        // SAFETY: the call takes numbers only. Descriptors are the child's own.
        let done = unsafe { libc::syscall(libc::SYS_close_range, FIRST_OTHER, c_int::MAX, flags) };
        if done == 0 {
            return;
        }
    }
}
