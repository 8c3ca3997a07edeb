//! The one thread that starts programs.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use tokio::sync::oneshot;

use super::argv::Argv;
use super::clone::{self, Setting};
use super::confined::{Confinement, Guard};
use super::stack::Stack;
use super::stdio::pipes;
use crate::process::child::Child;
use crate::process::open_files::limit_of_children;

/// What to start and what belongs to it.
#[derive(Debug, Default)]
pub(crate) struct SpawnRequest {
    /// Where the program is, as seen from this process' working directory. `PATH` is not searched.
    pub(crate) program: PathBuf,
    /// Its arguments, without its own name.
    pub(crate) args: Vec<OsString>,
    /// Where the program runs; where this process does when absent.
    pub(crate) working_dir: Option<PathBuf>,
    /// The socket that the program will make, removed with it.
    pub(crate) socket_path: Option<PathBuf>,
    /// Whether the kernel kills the child when this process is gone.
    pub(crate) die_with_parent: bool,
    /// A pipe to use as standard error, read end first; a new one when absent.
    pub(crate) stderr: Option<(OwnedFd, OwnedFd)>,
    /// What keeps the program apart from the rest of the host. It then dies with this process in
    /// any case.
    pub(crate) confinement: Option<Confinement>,
}

/// A started child and our ends of its pipes.
#[derive(Debug)]
pub(crate) struct Spawned {
    pub(crate) child: Child,
    pub(crate) stdin: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
    /// What a confined child lives and dies with.
    pub(crate) guard: Option<Guard>,
}

/// Starts a program in a process group of its own, so that a terminal's Ctrl-C does not reach it,
/// and without any environment.
///
/// When the future is dropped, a child that was started is killed.
pub(crate) async fn spawn(request: SpawnRequest) -> io::Result<Spawned> {
    let (reply, answer) = oneshot::channel();
    submit(Job { request, reply })?;
    answer.await.map_err(|_| io::Error::other("the thread that starts processes is gone"))?
}

struct Job {
    request: SpawnRequest,
    reply: oneshot::Sender<io::Result<Spawned>>,
}

/// Hands a job to the spawner thread, which is started on first use and never ends.
///
/// It must never end because the death signal of a child is bound to the *thread* that made it:
/// made by one of the runtime's threads, a VM would die whenever the runtime lets that go. And it
/// stands still until the child is the program, which no thread of the runtime should.
fn submit(job: Job) -> io::Result<()> {
    static SPAWNER: Mutex<Option<Sender<Job>>> = Mutex::new(None);
    let mut spawner = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner);
    if spawner.is_none() {
        let (sender, jobs) = channel::<Job>();
        thread::Builder::new().name("smartvm-spawner".to_owned()).spawn(move || {
            let mut stack = None;
            for Job { request, reply } in jobs {
                // An answer nobody waits for is dropped here, and the child killed with it.
                drop(reply.send(start(request, &mut stack)));
            }
        })?;
        *spawner = Some(sender);
    }
    let sent = spawner.as_ref().is_some_and(|sender| sender.send(job).is_ok());
    drop(spawner);
    if sent { Ok(()) } else { Err(io::Error::other("the thread that starts processes is gone")) }
}

/// Starts a program on the stack, which is made when there is none yet.
fn start(request: SpawnRequest, stack: &mut Option<Stack>) -> io::Result<Spawned> {
    // The child looks for it from its own working directory.
    let argv = Argv::new(std::path::absolute(request.program)?, request.args)?;
    let working_dir = request.working_dir.map(|dir| CString::new(dir.into_os_string().into_vec()));
    let working_dir = working_dir.transpose()?;
    let stack = match stack {
        Some(stack) => stack,
        None => stack.insert(Stack::new()?),
    };
    let (ours, theirs) = pipes(request.stderr)?;
    let mut setting = Setting {
        working_dir: working_dir.as_deref(),
        open_files: limit_of_children(),
        ..Setting::default()
    };
    let ((pid, pidfd), guard) = match request.confinement {
        None => {
            setting.dies_with_thread = request.die_with_parent;
            (clone::start(stack, &argv, &theirs, &setting)?, None)
        }
        Some(confinement) => {
            let guard = Guard::start(&confinement.guard, stack)?;
            (guard.start_inside(&confinement, &argv, &theirs, setting)?, Some(guard))
        }
    };
    Ok(Spawned {
        child: Child::new(pid, pidfd, request.socket_path),
        stdin: ours.stdin,
        stdout: ours.stdout,
        stderr: ours.stderr,
        guard,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::*;

    fn request(program: &str, args: &[&str]) -> SpawnRequest {
        SpawnRequest {
            program: program.into(),
            args: args.iter().map(OsString::from).collect(),
            die_with_parent: true,
            ..SpawnRequest::default()
        }
    }

    async fn output_of(request: SpawnRequest) -> String {
        let spawned = spawn(request).await.unwrap();
        let mut output = String::new();
        fs_err::File::from_parts(spawned.stdout.into(), "stdout")
            .read_to_string(&mut output)
            .unwrap();
        output
    }

    /// A set of signals from `/proc/<pid>/status`, one bit each.
    fn signals(status: &str, field: &str) -> u64 {
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        u64::from_str_radix(line.split_once(":\t").unwrap().1, 16).unwrap()
    }

    #[tokio::test]
    async fn no_signal_is_blocked_and_sigpipe_is_not_ignored() {
        let status = output_of(request("/bin/cat", &["/proc/self/status"])).await;
        assert_eq!(signals(&status, "SigBlk"), 0);
        assert_eq!(signals(&status, "SigIgn") & 1 << (libc::SIGPIPE - 1), 0);
        let own = fs_err::read_to_string("/proc/self/status").unwrap();
        assert_ne!(signals(&own, "SigIgn") & 1 << (libc::SIGPIPE - 1), 0, "as Rust has it");
    }

    #[test]
    fn the_threads_own_signals_are_let_through_again() {
        let status = || fs_err::read_to_string("/proc/thread-self/status").unwrap();
        let before = signals(&status(), "SigBlk");
        for program in ["/bin/true", "/nowhere"] {
            drop(start(request(program, &[]), &mut None));
            assert_eq!(signals(&status(), "SigBlk"), before);
        }
    }

    #[tokio::test]
    async fn a_limit_of_files_that_was_raised_is_not_the_childs() {
        let limit = || getrlimit(Resource::Nofile);
        let before = limit();
        let lower = before.current.unwrap_or(4096).min(before.maximum.unwrap_or(4096)).min(512);
        setrlimit(Resource::Nofile, Rlimit { current: Some(lower - 1), ..limit() }).unwrap();
        crate::raise_open_files().unwrap();
        assert_eq!(limit().current, before.maximum);
        let limits = output_of(request("/bin/cat", &["/proc/self/limits"])).await;
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
        let soft = line.split_whitespace().next().unwrap();
        assert_eq!(soft, (lower - 1).to_string());
    }

    #[tokio::test]
    async fn the_program_runs_in_its_working_directory() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let request = SpawnRequest { working_dir: Some(dir.clone()), ..request("/bin/pwd", &[]) };
        let output = output_of(request).await;
        assert_eq!(output.trim_end(), dir.to_str().unwrap());
    }

    #[tokio::test]
    async fn a_working_directory_that_is_not_there_is_an_error() {
        let request =
            SpawnRequest { working_dir: Some("/nowhere".into()), ..request("/bin/true", &[]) };
        let error = spawn(request).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn each_argument_arrives_as_it_is() {
        assert_eq!(output_of(request("/bin/echo", &["a b", "", "ü"])).await, "a b  ü\n");
    }
}
