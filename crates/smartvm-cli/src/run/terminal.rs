//! The terminal in raw mode, and back.

use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

use crate::printer;

/// How the terminal was before raw mode; global so that a panic on any thread can
/// put it back before its message is printed.
static SAVED: Mutex<Option<Termios>> = Mutex::new(None);

/// What standard input is to the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InputMode {
    /// A terminal: every key goes to the guest, Ctrl-] is ours.
    RawTerminal,
    /// Bytes go to the guest as they come; their end means nothing.
    PassThrough,
    /// The guest gets no input.
    None,
}

impl InputMode {
    /// Decides from what the command was started with.
    ///
    /// Raw mode needs a terminal on both sides: with the output in a file or pipe
    /// nobody could see what the guest says, and Ctrl-C should end the command.
    /// A command in the background leaves the terminal to the shell.
    pub(crate) fn choose(no_stdin: bool) -> Self {
        let stdin = io::stdin();
        if no_stdin {
            Self::None
        } else if !stdin.is_terminal() {
            Self::PassThrough
        } else if !in_foreground(&stdin) {
            Self::None
        } else if io::stdout().is_terminal() {
            Self::RawTerminal
        } else {
            Self::PassThrough
        }
    }
}

/// Keeps the terminal of standard input in raw mode; dropping it restores the mode
/// that was before.
#[derive(Debug)]
#[must_use]
pub(crate) struct RawMode(());

impl RawMode {
    /// Enters raw mode.
    ///
    /// # Errors
    /// When standard input is no terminal, or went away.
    pub(crate) fn enter() -> io::Result<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(&stdin)?;
        let mut raw = before.clone();
        raw.make_raw();
        *SAVED.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        tcsetattr(&stdin, OptionalActions::Drain, &raw)?;
        printer::set_raw(true);
        Ok(Self(()))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

/// Leaves raw mode when it is on. Safe to call at any time.
pub(crate) fn restore() {
    if let Some(before) = SAVED.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // Now, not after draining: a terminal that takes no output must not keep us.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
        printer::set_raw(false);
    }
}

fn in_foreground(stdin: &io::Stdin) -> bool {
    tcgetpgrp(stdin).is_ok_and(|group| group == rustix::process::getpgrp())
}
