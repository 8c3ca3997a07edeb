//! Our standard streams and a program's.

use std::io;

use smartvm_guest::{ChildOutput, ChildStdin};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::input::read_input;
use crate::printer::Printer;
use crate::run::escape::{Escape, Key};

/// As much as comes with one frame.
const PIECE: usize = 64 << 10;

/// Which of our streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ours {
    Stdout,
    Stderr,
}

/// Carries what the program says to one of our streams, until it says no more.
///
/// # Errors
/// When ours takes no more. A connection that was lost is none: the program's end says so.
pub(super) async fn show(from: Option<ChildOutput>, to: Ours, printer: Printer) -> io::Result<()> {
    let Some(mut from) = from else { return Ok(()) };
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        match from.read_buf(&mut piece).await {
            Ok(0) | Err(_) => return Ok(()),
            Ok(_) => {}
        }
        // It blocks for as long as a terminal or pipe likes.
        let written = tokio::task::spawn_blocking(move || match to {
            Ours::Stdout => printer.program_output(&piece),
            Ours::Stderr => printer.program_errors(&piece),
        });
        written.await.map_err(io::Error::other)??;
    }
}

/// Starts to carry our input to the program. On a raw terminal the keys that are for us come out here.
pub(super) fn carry_input(stdin: Option<ChildStdin>, raw: bool) -> mpsc::Receiver<Key> {
    let (ours, keys) = mpsc::channel(16);
    if let Some(stdin) = stdin {
        tokio::spawn(async move { pass_on(stdin, raw, ours).await });
    }
    keys
}

async fn pass_on(mut stdin: ChildStdin, raw: bool, ours: mpsc::Sender<Key>) {
    let mut input = read_input();
    let mut escape = Escape::default();
    while let Some(bytes) = input.recv().await {
        if !raw {
            if stdin.write_all(&bytes).await.is_err() {
                return;
            }
            continue;
        }
        for key in escape.feed(&bytes) {
            let passed = match key {
                Key::Guest(bytes) => stdin.write_all(&bytes).await.is_ok(),
                key => ours.send(key).await.is_ok(),
            };
            if !passed {
                return;
            }
        }
    }
    // Dropping it would do; this says so.
    let _ = stdin.shutdown().await;
}
