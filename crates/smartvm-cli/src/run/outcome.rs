//! What the command ends with.

use smartvm::{EndCause, VmEnd};

use super::interrupts::Interrupt;
use crate::exit_code::Exit;
use crate::failure::Failure;

/// What ended the guest, when it was not the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// Ctrl-] q or Ctrl-] k.
    Key,
    /// A signal to the command.
    Interrupt(Interrupt),
    /// The console could not be shown any more.
    OutputFailed,
}

/// How it all ended, in order of weight: a crash outranks a panic, and a panic outranks whoever
/// asked for the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Firecracker died.
    Crashed,
    /// It was killed for using more memory than its limit.
    OutOfMemory,
    /// The guest's kernel panicked.
    Panicked,
    /// Something other than the guest ended it.
    Ended(Reason),
    /// The guest powered off.
    PoweredOff,
    /// The guest ended by itself.
    GuestEnded,
}

impl Verdict {
    /// Decides from the VM's end and what was asked for.
    pub(super) fn new(cause: Option<EndCause>, reason: Option<Reason>) -> Self {
        match (cause, reason) {
            (Some(EndCause::Crashed | EndCause::MemoryLost), _) => Self::Crashed,
            (Some(EndCause::OutOfMemory), _) => Self::OutOfMemory,
            (Some(EndCause::GuestPanicked), _) => Self::Panicked,
            (_, Some(reason)) => Self::Ended(reason),
            (Some(EndCause::PoweredOff), None) => Self::PoweredOff,
            (_, None) => Self::GuestEnded,
        }
    }

    /// Whether the guest's end is no failure, so that a failure to show its console counts.
    pub(super) fn is_ok(self) -> bool {
        matches!(self, Self::Ended(_) | Self::PoweredOff | Self::GuestEnded)
    }

    /// The command's end. `end` says how Firecracker ended.
    pub(super) fn into_result(self, end: Option<&VmEnd>) -> Result<Exit, Failure> {
        match self {
            Self::Crashed => Err(crashed(end)),
            Self::OutOfMemory => Err(Failure::new(
                "VM_OUT_OF_MEMORY",
                "the kernel ended the VM: it used more memory than its jail's limit",
            )
            .with_hint("raise --memory-max above --memory and what Firecracker needs itself")),
            Self::Panicked => Err(Failure::new("GUEST_PANICKED", "the guest's kernel panicked")),
            Self::Ended(Reason::Interrupt(interrupt)) => Ok(interrupt.exit()),
            Self::Ended(_) | Self::PoweredOff | Self::GuestEnded => Ok(Exit::Ok),
        }
    }

    /// The last status line, where there is something to say that no error says.
    pub(super) fn status(self) -> Option<&'static str> {
        match self {
            Self::GuestEnded => Some("the guest ended"),
            Self::PoweredOff => Some("the guest powered down"),
            Self::Ended(Reason::Key | Reason::Interrupt(_)) => Some("the guest was ended"),
            Self::Ended(Reason::OutputFailed)
            | Self::Crashed
            | Self::OutOfMemory
            | Self::Panicked => None,
        }
    }
}

fn crashed(end: Option<&VmEnd>) -> Failure {
    let exit = end.and_then(|end| end.exit.as_ref());
    let how = exit.map_or_else(|| "ended unexpectedly".to_owned(), ToString::to_string);
    let output = exit.map_or("", |exit| exit.output.as_str());
    Failure::new("VMM_CRASHED", format!("firecracker {how}")).with_last_output(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(cause: EndCause, reason: Option<Reason>) -> Exit {
        let result = Verdict::new(Some(cause), reason).into_result(None);
        result.unwrap_or_else(|failure| failure.exit())
    }

    #[test]
    fn a_guest_that_ends_by_itself_is_success() {
        assert_eq!(exit(EndCause::GuestEnded, None), Exit::Ok);
        assert_eq!(exit(EndCause::PoweredOff, None), Exit::Ok);
    }

    #[test]
    fn an_end_by_key_is_success_and_one_by_signal_has_the_signals_code() {
        assert_eq!(exit(EndCause::Stopped, Some(Reason::Key)), Exit::Ok);
        for (interrupt, code) in
            [(Interrupt::Int, 130), (Interrupt::Term, 143), (Interrupt::Hup, 129)]
        {
            let reason = Some(Reason::Interrupt(interrupt));
            assert_eq!(exit(EndCause::Stopped, reason).number(), code);
        }
    }

    #[test]
    fn a_crash_and_a_panic_outrank_who_asked() {
        let reason = Some(Reason::Interrupt(Interrupt::Int));
        assert_eq!(exit(EndCause::Crashed, reason), Exit::VmmCrashed);
        assert_eq!(exit(EndCause::OutOfMemory, reason), Exit::VmmCrashed);
        assert_eq!(exit(EndCause::GuestPanicked, reason), Exit::GuestPanicked);
        assert_eq!(exit(EndCause::GuestPanicked, None), Exit::GuestPanicked);
    }
}
