//! Signals that are the program's.

use std::io;

use smartvm_guest::TerminalSize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::session::terminal_size;
use crate::exit_code::Exit;

/// What a signal to this process means for the program in the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GuestSignal {
    /// It gets the signal with this number.
    Number(u32),
    /// Its terminal has another size.
    Resized(TerminalSize),
}

impl GuestSignal {
    /// The exit code when it ends a guest in which nothing runs yet.
    pub(crate) fn ends_a_boot(&self) -> Option<Exit> {
        match self {
            Self::Number(1) => Some(Exit::HungUp),
            Self::Number(2) => Some(Exit::Interrupted),
            Self::Number(15) => Some(Exit::Terminated),
            Self::Number(_) | Self::Resized(_) => None,
        }
    }
}

/// The signals as they arrive. While it lives they no longer end this process.
#[derive(Debug)]
pub(crate) struct GuestSignals {
    hup: Signal,
    int: Signal,
    quit: Signal,
    term: Signal,
    usr1: Signal,
    usr2: Signal,
    resized: Signal,
}

impl GuestSignals {
    /// Starts to catch them.
    ///
    /// # Errors
    /// When a handler cannot be installed.
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self {
            hup: signal(SignalKind::hangup())?,
            int: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            term: signal(SignalKind::terminate())?,
            usr1: signal(SignalKind::user_defined1())?,
            usr2: signal(SignalKind::user_defined2())?,
            resized: signal(SignalKind::window_change())?,
        })
    }

    /// The next one. Cancel-safe.
    pub(crate) async fn next(&mut self) -> GuestSignal {
        // The numbers are those of x86-64 and arm64.
        tokio::select! {
            _ = self.hup.recv() => GuestSignal::Number(1),
            _ = self.int.recv() => GuestSignal::Number(2),
            _ = self.quit.recv() => GuestSignal::Number(3),
            _ = self.term.recv() => GuestSignal::Number(15),
            _ = self.usr1.recv() => GuestSignal::Number(10),
            _ = self.usr2.recv() => GuestSignal::Number(12),
            _ = self.resized.recv() => GuestSignal::Resized(terminal_size()),
        }
    }
}
