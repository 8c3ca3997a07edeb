//! The guest's console on our standard streams.
//!
//! Reading and writing standard streams may block for as long as a terminal or pipe likes, so
//! both happen off the tasks that watch signals and the guest's end.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use smartvm_firecracker::{Console, ConsoleReader};
use tokio::sync::mpsc;

use super::escape::{Escape, Key};
use super::terminal::InputMode;
use crate::input::read_input;
use crate::printer::Printer;

/// Pieces typed ahead for a guest that does not take them; what exceeds them is dropped, because
/// the keys behind them must still reach us.
const TYPED_AHEAD: usize = 64;

/// Writes the console to standard output until it ends.
///
/// When the output is slower than the guest, the console's ring overwrites the oldest bytes
/// and we say how many: a guest can neither be held up by us nor make us use more memory.
///
/// # Errors
/// When standard output takes no more; the rest of the console is not read then.
pub(super) async fn show(mut reader: ConsoleReader, printer: Printer) -> io::Result<()> {
    let mut lost = 0;
    while let Some(chunk) = reader.next().await {
        if lost == 0 && chunk.lost > 0 {
            printer.warning("the guest prints faster than the output takes it; some is left out");
        }
        lost += chunk.lost;
        let write = tokio::task::spawn_blocking(move || printer.console(&chunk.bytes));
        write.await.map_err(io::Error::other)??;
    }
    if lost > 0 {
        printer.warning(&format!("{lost} bytes of the guest's console were left out"));
    }
    Ok(())
}

/// Returns once standard output is a pipe or socket whose other end is gone, and never when
/// it is anything else; SIGHUP tells of a terminal. Without this, a guest that says nothing more
/// would keep a pipeline open whose reader has left.
pub(super) fn output_closed() -> impl Future<Output = ()> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    // Asked now: a terminal that is gone is no longer known as one.
    if !io::stdout().is_terminal() {
        thread::spawn(move || {
            if reader_went_away() {
                // The command may have ended meanwhile.
                let _ = sender.send(());
            }
        });
    }
    async {
        if receiver.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Starts to carry standard input to the guest. The keys that are for us come out here.
pub(super) fn carry_input(mode: InputMode, console: Console) -> mpsc::Receiver<Key> {
    let (ours, keys) = mpsc::channel(16);
    match mode {
        InputMode::None => {}
        InputMode::PassThrough => drop(tokio::spawn(pass_through(read_input(), console))),
        InputMode::RawTerminal => {
            let (typed, waiting) = mpsc::channel(TYPED_AHEAD);
            drop(tokio::spawn(pass_through(waiting, console)));
            drop(tokio::spawn(take_keys(read_input(), typed, ours)));
        }
    }
    keys
}

/// Gives the guest every byte. A guest that takes none holds up the input, not memory.
async fn pass_through(mut input: mpsc::Receiver<Vec<u8>>, console: Console) {
    while let Some(bytes) = input.recv().await {
        if let Err(error) = console.write(&bytes).await {
            tracing::debug!(%error, "the guest takes no more input");
            return;
        }
    }
}

async fn take_keys(
    mut input: mpsc::Receiver<Vec<u8>>,
    guest: mpsc::Sender<Vec<u8>>,
    ours: mpsc::Sender<Key>,
) {
    let mut escape = Escape::default();
    while let Some(bytes) = input.recv().await {
        for key in escape.feed(&bytes) {
            match key {
                Key::Guest(bytes) => drop(guest.try_send(bytes)),
                key => {
                    if ours.send(key).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

fn reader_went_away() -> bool {
    let stdout = io::stdout();
    // No events are asked for: the kernel reports an error or hang-up unasked.
    let mut fds = [PollFd::from_borrowed_fd(stdout.as_fd(), PollFlags::empty())];
    loop {
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
            Ok(_) => return fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP),
        }
    }
}
