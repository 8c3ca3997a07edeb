//! A program that runs, from its start to the exit code.

use std::io::{self, IsTerminal};
use std::pin::pin;

use rustix::termios::tcgetwinsize;
use serde_json::json;
use smartvm_guest::{Child, Command, ExitStatus, TerminalSize};

use super::args::StreamArgs;
use super::failure::{of_guest, of_unstarted};
use super::signals::{GuestSignal, GuestSignals};
use super::streams::{Ours, carry_input, show};
use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::run::escape::Key;
use crate::run::terminal::RawMode;

/// A terminal where none tells its size: that of a VT100.
const USUAL: TerminalSize = TerminalSize { rows: 24, columns: 80 };

/// How often a signal that asks for the end is passed on before the program is ended without asking.
const ASKED: u32 = 2;

/// Runs a program with our streams as its own, and gives its exit code.
///
/// # Errors
/// When it was not started (125, 126, 127), when the guest was lost, when our output takes no more.
pub(crate) async fn attend(
    command: Command,
    streams: StreamArgs,
    signals: &mut GuestSignals,
    printer: Printer,
) -> Result<Exit, Failure> {
    let mut child = command.spawn().await.map_err(|error| of_unstarted(&error))?;
    let raw = streams.tty && streams.interactive && io::stdin().is_terminal();
    let raw_mode = if raw { Some(RawMode::enter().map_err(|e| no_raw_mode(&e))?) } else { None };
    let mut keys = carry_input(child.stdin.take(), raw);
    let shown = {
        let stdout = show(child.stdout.take(), Ours::Stdout, printer);
        let stderr = show(child.stderr.take(), Ours::Stderr, printer);
        async { tokio::try_join!(stdout, stderr) }
    };
    let mut shown = pin!(shown);
    let mut showing = true;
    let mut asked = 0;
    let ended = loop {
        tokio::select! {
            biased;
            signal = signals.next() => {
                if passes_on(&child, signal, &mut asked).await {
                    continue;
                }
                return Ok(Exit::Program(137));
            }
            Some(key) = keys.recv() => {
                if key == Key::Kill {
                    return Ok(Exit::Program(137));
                }
                printer.status("keys: Ctrl-] k end the program at once, Ctrl-] Ctrl-] send Ctrl-]");
            }
            output = &mut shown, if showing => {
                showing = false;
                if let Err(error) = output {
                    return Err(Failure::writing_output(&error));
                }
            }
            // Its end comes after all of its output, which may still wait to be shown.
            ended = child.ended(), if !showing => break ended,
        }
    };
    drop(raw_mode);
    let status = ended.map_err(|error| of_guest(&error).with_exit(Exit::NotRun))?;
    tell(status, printer);
    Ok(Exit::Program(status.shell_code()))
}

/// Passes a signal on; false when that was enough.
async fn passes_on(child: &Child, signal: GuestSignal, asked: &mut u32) -> bool {
    let passed = match signal {
        GuestSignal::Resized(size) => child.resize(size).await,
        GuestSignal::Number(number) => {
            if matches!(number, 1..=3 | 15) {
                *asked += 1;
            }
            if *asked > ASKED {
                return false;
            }
            child.signal(number).await
        }
    };
    if let Err(error) = passed {
        tracing::debug!(%error, "the program gets no signal any more");
    }
    true
}

/// Says how it ended, where its exit code does not.
fn tell(status: ExitStatus, printer: Printer) {
    if printer.wants_json() {
        printer.event(&json!({ "exit": {
            "code": status.code(),
            "signal": status.signal(),
            "timedOut": status.timed_out(),
            "oomKills": status.oom_kills(),
            "truncated": status.truncated(),
        }}));
        return;
    }
    if status.timed_out() || status.oom_kills() > 0 {
        printer.status(&format!("the program ended with {status}"));
    }
    if status.truncated() {
        printer.status("what the program left behind says more, which is not shown");
    }
}

/// The size of our terminal.
pub(crate) fn terminal_size() -> TerminalSize {
    let sizes = [tcgetwinsize(io::stdout()), tcgetwinsize(io::stdin())];
    let known = sizes.into_iter().flatten().find(|size| size.ws_row > 0 && size.ws_col > 0);
    known.map_or(USUAL, |size| TerminalSize { rows: size.ws_row, columns: size.ws_col })
}

fn no_raw_mode(error: &io::Error) -> Failure {
    Failure::new("TERMINAL_FAILED", "failed to put the terminal into raw mode").caused_by(error)
}
