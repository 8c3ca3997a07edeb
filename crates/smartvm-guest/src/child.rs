//! A program that runs in a guest.

use std::sync::Arc;

use smartvm_protocol::HostFrame;
use smartvm_protocol::agent::Started;
use smartvm_protocol::host::{Detach, Resize, Signal};
use smartvm_protocol::shared::TerminalSize;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::command::Stdio;
use crate::connection::{ANSWER, Incoming, Outgoing, in_time};
use crate::exit_status::ExitStatus;
use crate::guest_error::GuestError;
use crate::pump::{Credit, Readers, carry_input, carry_output};
use crate::stdio::{ChildOutput, ChildStdin};

/// How much of the input waits on the host.
const INPUT: usize = 64 << 10;

/// How many orders wait until they are sent.
const ORDERS: usize = 16;

/// A program that runs in a guest. Dropping it ends it, with all that it has started.
#[derive(Debug)]
pub struct Child {
    /// Its input, when that is piped.
    pub stdin: Option<ChildStdin>,
    /// Its output, when that is piped.
    pub stdout: Option<ChildOutput>,
    /// Its errors, when they are piped and it has no terminal.
    pub stderr: Option<ChildOutput>,
    started: Started,
    orders: mpsc::Sender<HostFrame>,
    output: JoinHandle<Result<ExitStatus, GuestError>>,
    input: JoinHandle<Result<(), GuestError>>,
    ended: Option<ExitStatus>,
}

/// What a program said, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its output.
    pub stdout: Vec<u8>,
    /// Its errors.
    pub stderr: Vec<u8>,
}

impl Child {
    pub(crate) fn new(
        started: Started,
        incoming: Incoming,
        outgoing: Outgoing,
        piped_input: bool,
        (stdout, stderr): (Stdio, Stdio),
    ) -> Self {
        let (stdout_sender, stdout) = output(stdout);
        let (stderr_sender, stderr) = output(stderr);
        let readers = Readers { stdout: stdout_sender, stderr: stderr_sender };
        let credit = Arc::new(Credit::new());
        let (writer, reader) = piped_input.then(|| tokio::io::duplex(INPUT)).unzip();
        let (orders, ordered) = mpsc::channel(ORDERS);
        let input = tokio::spawn(carry_input(outgoing, ordered, reader, Arc::clone(&credit)));
        let output = tokio::spawn(carry_output(incoming, readers, credit));
        let stdin = writer.map(ChildStdin);
        Self { stdin, stdout, stderr, started, orders, output, input, ended: None }
    }

    /// Its number, by which a program that is kept is found again.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.started.exec
    }

    /// Its process id in the guest, as the guest tells it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.started.pid
    }

    /// Waits until it has ended. Its input ends if nobody took it; output that nobody took is thrown away, and output that
    /// somebody took must be read, as the program waits for that. Safe to drop and to repeat.
    ///
    /// # Errors
    /// `GUEST_CONNECTION_LOST` when the VM or the agent ended before; `GUEST_PROTOCOL_VIOLATED`.
    pub async fn wait(&mut self) -> Result<ExitStatus, GuestError> {
        self.stdin = None;
        self.stdout = None;
        self.stderr = None;
        self.ended().await
    }

    /// Waits until it has ended, its streams left as they are: they must be read meanwhile. Safe to drop and to repeat.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub async fn ended(&mut self) -> Result<ExitStatus, GuestError> {
        if let Some(ended) = self.ended {
            return Ok(ended);
        }
        let ended = (&mut self.output).await.map_err(|ended| GuestError::Lost {
            doing: "run a program",
            source: std::io::Error::other(ended),
        })??;
        self.ended = Some(ended);
        Ok(ended)
    }

    /// Waits until it has ended, and gives all of its output.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub async fn wait_with_output(mut self) -> Result<Output, GuestError> {
        self.stdin = None;
        let (stdout, stderr) = (self.stdout.take(), self.stderr.take());
        let read = async |stream: Option<ChildOutput>| {
            let mut all = Vec::new();
            if let Some(mut stream) = stream {
                // What went wrong is the program's end as well.
                let _ = stream.read_to_end(&mut all).await;
            }
            all
        };
        let (status, stdout, stderr) = tokio::join!(self.ended(), read(stdout), read(stderr));
        Ok(Output { status: status?, stdout, stderr })
    }

    /// Sends a signal to it and its process group; SIGKILL goes to all that it has started.
    ///
    /// # Errors
    /// `GUEST_CONNECTION_LOST`, also when it has ended already.
    pub async fn signal(&self, number: u32) -> Result<(), GuestError> {
        self.send(HostFrame::Signal(Signal { number })).await
    }

    /// Ends it at once, with all that it has started. Its end is still to be waited for.
    ///
    /// # Errors
    /// As [`signal`](Self::signal).
    pub async fn kill(&self) -> Result<(), GuestError> {
        self.signal(9).await
    }

    /// Gives its terminal another size.
    ///
    /// # Errors
    /// As [`signal`](Self::signal).
    pub async fn resize(&self, size: TerminalSize) -> Result<(), GuestError> {
        self.send(HostFrame::Resize(Resize { size })).await
    }

    /// Lets it go on by itself, and returns its number. Its output is kept in the guest, in a ring. When this is dropped
    /// before it returns, the program may be ended.
    ///
    /// # Errors
    /// As [`signal`](Self::signal).
    pub async fn detach(self) -> Result<u64, GuestError> {
        let id = self.id();
        self.send(HostFrame::Detach(Detach {})).await?;
        // The guest closes when it has heard it.
        let mut this = self;
        in_time(ANSWER, "let a program go on", async {
            match this.ended().await {
                Ok(_) | Err(GuestError::Lost { .. }) => Ok(id),
                Err(error) => Err(error),
            }
        })
        .await
    }

    async fn send(&self, frame: HostFrame) -> Result<(), GuestError> {
        self.orders.send(frame).await.map_err(|_| GuestError::Lost {
            doing: "run a program",
            source: std::io::ErrorKind::BrokenPipe.into(),
        })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // They hold the connection, which ends with them.
        self.output.abort();
        self.input.abort();
    }
}

type Sender = mpsc::Sender<std::io::Result<smartvm_protocol::Hidden>>;

fn output(stdio: Stdio) -> (Option<Sender>, Option<ChildOutput>) {
    if stdio == Stdio::Null {
        return (None, None);
    }
    let (sender, pieces) = mpsc::channel(1);
    (Some(sender), Some(ChildOutput::new(pieces)))
}
