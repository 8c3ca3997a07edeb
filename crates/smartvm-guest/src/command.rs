//! A program that is to be run in a guest.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use smartvm_protocol::host::StartExec;
use smartvm_protocol::shared::TerminalSize;
use smartvm_protocol::{AgentFrame, HostFrame, Lost, SessionKind};

use crate::child::{Child, Output};
use crate::connection::{ANSWER, open};
use crate::exit_status::ExitStatus;
use crate::guest::Guest;
use crate::guest_error::{GuestError, ProtocolFault};

/// What one of a program's standard streams leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdio {
    /// A stream in the [`Child`].
    Piped,
    /// Nothing: input is empty, and output is thrown away on the host.
    Null,
}

/// Describes a program in a guest, and runs it: in the shape of [`std::process::Command`].
///
/// Unless something else is said, its input is empty, its output is piped, it is root's, in `/`, and its environment has
/// `PATH`, `HOME`, `USER` and `LOGNAME` alone. It is not run by a shell.
#[derive(Debug, Clone)]
#[must_use = "nothing runs until it is told to"]
pub struct Command {
    guest: Guest,
    start: StartExec,
    stdout: Stdio,
    stderr: Stdio,
}

impl Command {
    pub(crate) fn new(guest: Guest, program: &OsStr) -> Self {
        let start = StartExec {
            argv: vec![program.as_bytes().to_vec()],
            env: Vec::new(),
            cwd: None,
            user: None,
            groups: Vec::new(),
            terminal: None,
            stdin: false,
            lost: Lost::Kill,
            timeout_ms: None,
            memory_max: None,
            pids_max: None,
            cpu_max_permille: None,
        };
        Self { guest, start, stdout: Stdio::Piped, stderr: Stdio::Piped }
    }

    /// One more argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.start.argv.push(arg.as_ref().as_bytes().to_vec());
        self
    }

    /// More arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let args = args.into_iter().map(|arg| arg.as_ref().as_bytes().to_vec());
        self.start.argv.extend(args);
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let mut variable = OsString::from(name.as_ref());
        variable.push("=");
        variable.push(value);
        self.start.env.push(variable.into_vec().into());
        self
    }

    /// The directory that it begins in, `/` unless one is given.
    pub fn current_dir(mut self, dir: impl AsRef<OsStr>) -> Self {
        self.start.cwd = Some(dir.as_ref().as_bytes().to_vec());
        self
    }

    /// Whose it is: `USER[:GROUP]`, names of the guest or numbers.
    pub fn user(mut self, user: impl AsRef<OsStr>) -> Self {
        self.start.user = Some(user.as_ref().as_bytes().to_vec());
        self
    }

    /// Further groups instead of those that the guest gives the user.
    pub fn groups(mut self, groups: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let groups = groups.into_iter().map(|group| group.as_ref().as_bytes().to_vec());
        self.start.groups = groups.collect();
        self
    }

    /// Gives it a terminal of this size; its errors are part of its output then, and its input is piped.
    pub fn terminal(mut self, size: TerminalSize) -> Self {
        self.start.terminal = Some(size);
        self.start.stdin = true;
        self
    }

    /// What its input is.
    pub fn stdin(mut self, stdin: Stdio) -> Self {
        self.start.stdin = stdin == Stdio::Piped;
        self
    }

    /// Where its output goes.
    pub fn stdout(mut self, stdout: Stdio) -> Self {
        self.stdout = stdout;
        self
    }

    /// Where its errors go.
    pub fn stderr(mut self, stderr: Stdio) -> Self {
        self.stderr = stderr;
        self
    }

    /// Has the guest kill it, with all that it has started, after a time.
    pub fn timeout(mut self, after: Duration) -> Self {
        self.start.timeout_ms = Some(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// The most memory that it and what it starts may have, in bytes. What exceeds it is ended by the guest's kernel, and
    /// told by [`ExitStatus::oom_kills`].
    pub fn memory_max(mut self, bytes: u64) -> Self {
        self.start.memory_max = Some(bytes);
        self
    }

    /// The most processes and threads that it and what it starts may be.
    pub fn pids_max(mut self, count: u64) -> Self {
        self.start.pids_max = Some(count);
        self
    }

    /// Keeps it when the connection to it is lost, its output in a ring: see [`Child::id`].
    pub fn keep(mut self) -> Self {
        self.start.lost = Lost::Keep;
        self
    }

    /// Starts it, and returns when it runs.
    ///
    /// # Errors
    /// `GUEST_NO_PROGRAM`, `GUEST_NOT_EXECUTABLE`, `GUEST_NO_USER`, `GUEST_NO_DIRECTORY` and the like, when the guest cannot
    /// start it; whatever [`GuestError`] names when the guest cannot be reached or does not answer.
    pub async fn spawn(self) -> Result<Child, GuestError> {
        let doing = "start a program";
        let piped_input = self.start.stdin;
        let start = HostFrame::StartExec(self.start);
        let opened = open(self.guest.dial(), SessionKind::Exec, Some(start), doing).await?;
        let (mut incoming, outgoing, _) = opened;
        match incoming.answer(ANSWER).await? {
            AgentFrame::Started(started) => {
                let output = (self.stdout, self.stderr);
                Ok(Child::new(started, incoming, outgoing, piped_input, output))
            }
            _ => Err(ProtocolFault::Answer.into()),
        }
    }

    /// Runs it and returns how it ended; its output is thrown away.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn) and [`Child::wait`].
    pub async fn status(self) -> Result<ExitStatus, GuestError> {
        self.stdout(Stdio::Null).stderr(Stdio::Null).spawn().await?.wait().await
    }

    /// Runs it and returns how it ended with all of its output, which is kept in memory, however much it is.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn) and [`Child::wait`].
    pub async fn output(self) -> Result<Output, GuestError> {
        self.spawn().await?.wait_with_output().await
    }
}
