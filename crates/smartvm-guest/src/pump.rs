//! What carries a program's streams: from the connection to its readers, and its input to the connection.

use std::io;
use std::sync::Arc;

use smartvm_protocol::host::StdinEnd;
use smartvm_protocol::{AgentFrame, Hidden, HostFrame, HostKind, STDIN_WINDOW};
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::sync::{Semaphore, mpsc};

use crate::connection::{Incoming, Outgoing};
use crate::exit_status::ExitStatus;
use crate::guest_error::{GuestError, ProtocolFault};

/// The most input that one frame carries.
const PIECE: usize = 16 << 10;

/// How much input may be sent now.
#[derive(Debug)]
pub(crate) struct Credit(Semaphore);

impl Credit {
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(STDIN_WINDOW as usize))
    }

    /// Waits until there is room, and takes as much as there is, `most` at most. Cancel-safe.
    async fn take(&self, most: usize) -> usize {
        let Ok(one) = self.0.acquire().await else { return std::future::pending().await };
        one.forget();
        let more = self.0.available_permits().min(most.saturating_sub(1));
        1 + self.0.forget_permits(more)
    }

    fn give_back(&self, bytes: u32) -> Result<(), ProtocolFault> {
        // What is there is never more than the window, so neither sum can be too large.
        if self.0.available_permits() + bytes as usize > STDIN_WINDOW as usize {
            return Err(ProtocolFault::Credit);
        }
        self.0.add_permits(bytes as usize);
        Ok(())
    }
}

/// Where a program's output is read.
#[derive(Debug)]
pub(crate) struct Readers {
    pub(crate) stdout: Option<mpsc::Sender<io::Result<Hidden>>>,
    pub(crate) stderr: Option<mpsc::Sender<io::Result<Hidden>>>,
}

/// Carries output until the program has ended, and returns how.
pub(crate) async fn carry_output(
    mut incoming: Incoming,
    mut readers: Readers,
    credit: Arc<Credit>,
) -> Result<ExitStatus, GuestError> {
    let ended = loop {
        match incoming.next().await {
            Ok(AgentFrame::Stdout(piece)) => pass_on(&mut readers.stdout, piece).await,
            Ok(AgentFrame::Stderr(piece)) => pass_on(&mut readers.stderr, piece).await,
            Ok(AgentFrame::StdinCredit(given)) => {
                if let Err(fault) = credit.give_back(given.bytes) {
                    break Err(fault.into());
                }
            }
            Ok(AgentFrame::Exit(exit)) => break Ok(exit.into()),
            // What was missed of a program that was kept: who attaches asks for an offset.
            Ok(AgentFrame::Gap(gap)) => tracing::debug!(?gap, "a guest's program said more"),
            Ok(_) => break Err(ProtocolFault::Answer.into()),
            Err(error) => break Err(error),
        }
    };
    if let Err(error) = &ended {
        // A reader must not take this for the end of the output.
        for reader in [readers.stdout, readers.stderr].into_iter().flatten() {
            let told = io::Error::new(io::ErrorKind::ConnectionReset, error.to_string());
            let _ = reader.send(Err(told)).await;
        }
    }
    ended
}

/// Waits until the reader takes it; one that has gone gets no more.
async fn pass_on(reader: &mut Option<mpsc::Sender<io::Result<Hidden>>>, piece: Hidden) {
    if let Some(sender) = reader
        && sender.send(Ok(piece)).await.is_err()
    {
        *reader = None;
    }
}

/// Sends a program its input, never more than it has room for, and what is ordered meanwhile. It is the only one that
/// writes to the connection, so that no frame is cut when a caller gives up.
pub(crate) async fn carry_input(
    mut outgoing: Outgoing,
    mut orders: mpsc::Receiver<HostFrame>,
    mut input: Option<DuplexStream>,
    credit: Arc<Credit>,
) -> Result<(), GuestError> {
    let mut piece = Vec::with_capacity(PIECE);
    loop {
        tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(order) => outgoing.send(&order).await?,
                // The child was dropped, and its connection goes.
                None => return Ok(()),
            },
            step = next_input(&mut input, &mut piece, &credit) => match step {
                InputStep::Read => {}
                InputStep::End => {
                    input = None;
                    outgoing.send(&HostFrame::StdinEnd(StdinEnd {})).await?;
                }
                InputStep::Room(room) => {
                    let header = HostKind::Stdin.header(room);
                    let header = header.map_err(|source| GuestError::TooLong { source })?;
                    let rest = piece.split_off(room);
                    outgoing.write(&[&header[..], &piece].concat()).await?;
                    piece = rest;
                }
            },
        }
    }
}

/// What happened to the input.
enum InputStep {
    /// There is a piece to be sent.
    Read,
    /// There will be no more.
    End,
    /// So much of the piece can be sent.
    Room(usize),
}

/// Waits for input, or for room for the piece that there is. Cancel-safe.
async fn next_input(
    input: &mut Option<DuplexStream>,
    piece: &mut Vec<u8>,
    credit: &Credit,
) -> InputStep {
    if !piece.is_empty() {
        return InputStep::Room(credit.take(piece.len()).await);
    }
    match input {
        // An input that cannot be read is over.
        Some(input) => match input.take(PIECE as u64).read_buf(piece).await {
            Ok(0) | Err(_) => InputStep::End,
            Ok(_) => InputStep::Read,
        },
        None => std::future::pending().await,
    }
}
