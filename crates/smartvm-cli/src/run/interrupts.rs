//! Signals that end the guest: gently first, at once when they insist.
//!
//! SIGINT, SIGTERM and SIGHUP stop the guest gently. A second SIGINT or SIGTERM
//! ends it at once. A second SIGHUP does not insist: a terminal that closes sends
//! it from the kernel and from the shell.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit_code::Exit;

/// A signal that asks for the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// SIGINT, which Ctrl-C sends on a terminal that is not raw.
    Int,
    /// SIGTERM.
    Term,
    /// SIGHUP, when the terminal goes away.
    Hup,
}

impl Interrupt {
    /// The exit code when this signal was what ended the guest.
    pub(crate) fn exit(self) -> Exit {
        match self {
            Self::Int => Exit::Interrupted,
            Self::Term => Exit::Terminated,
            Self::Hup => Exit::HungUp,
        }
    }
}

/// How urgently the end is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Stop the guest gently.
    Gently,
    /// End it at once.
    AtOnce,
    /// The end is already under way.
    Nothing,
}

/// Decides what the signals so far ask for.
#[derive(Debug, Default)]
pub(crate) struct Escalation {
    asked: bool,
}

impl Escalation {
    /// Takes note of one more signal.
    pub(crate) fn note(&mut self, interrupt: Interrupt) -> Urgency {
        if !self.asked {
            self.asked = true;
            Urgency::Gently
        } else if interrupt == Interrupt::Hup {
            Urgency::Nothing
        } else {
            Urgency::AtOnce
        }
    }
}

/// The signals as they arrive. While it lives they no longer end this process.
#[derive(Debug)]
pub(crate) struct Interrupts {
    int: Signal,
    term: Signal,
    hup: Option<Signal>,
}

impl Interrupts {
    /// Starts to catch the signals. A SIGHUP that was ignored before, as `nohup` does, stays so.
    ///
    /// # Errors
    /// When a handler cannot be installed.
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self {
            int: signal(SignalKind::interrupt())?,
            term: signal(SignalKind::terminate())?,
            hup: if hup_is_ignored() { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    /// The next signal. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Interrupt {
        tokio::select! {
            _ = self.int.recv() => Interrupt::Int,
            _ = self.term.recv() => Interrupt::Term,
            () = received(self.hup.as_mut()) => Interrupt::Hup,
        }
    }
}

async fn received(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

fn hup_is_ignored() -> bool {
    fs_err::read_to_string("/proc/self/status")
        .is_ok_and(|status| is_ignored(&status, SignalKind::hangup()))
}

/// Whether a process' `status` file says that it ignores the signal.
fn is_ignored(status: &str, signal: SignalKind) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal.as_raw_value() - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_is_gentle_and_the_second_is_not() {
        let mut escalation = Escalation::default();
        assert_eq!(escalation.note(Interrupt::Int), Urgency::Gently);
        assert_eq!(escalation.note(Interrupt::Int), Urgency::AtOnce);
    }

    #[test]
    fn an_ignored_signal_is_recognised() {
        let status = "Name:\tsmartvm\nSigIgn:\t0000000000001001\nSigCgt:\t0\n";
        assert!(is_ignored(status, SignalKind::hangup()));
        assert!(!is_ignored(status, SignalKind::interrupt()));
        assert!(!is_ignored("", SignalKind::hangup()));
    }

    #[test]
    fn a_closing_terminal_stays_gentle_however_often_it_says_so() {
        let mut escalation = Escalation::default();
        assert_eq!(escalation.note(Interrupt::Hup), Urgency::Gently);
        assert_eq!(escalation.note(Interrupt::Hup), Urgency::Nothing);
        assert_eq!(escalation.note(Interrupt::Term), Urgency::AtOnce);
    }
}
