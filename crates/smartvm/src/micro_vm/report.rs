//! What became of a request.

use std::time::Duration;

use serde::Serialize;
use smartvm_firecracker::ProcessExit;

use crate::jail::Confinement;

/// How long each step of a start took.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct StartReport {
    /// The steps in order, each with its share of [`total`](Self::total).
    pub steps: Vec<(&'static str, Duration)>,
    /// From the call until Firecracker accepted InstanceStart.
    pub total: Duration,
    /// How the VM is kept apart from the host. Always there when a start succeeded.
    pub confinement: Option<Confinement>,
}

/// How a stop went.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StopReport {
    /// What ended the guest: `ctrl-alt-del`, `SIGTERM`, `SIGKILL`, or `nothing` when it had ended
    /// before.
    pub ended_by: &'static str,
    /// How Firecracker ended.
    pub exit: Option<ProcessExit>,
    /// From the call until Firecracker was gone.
    pub took: Duration,
}

/// How a VM ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VmEnd {
    /// Why.
    pub cause: EndCause,
    /// How Firecracker ended; absent when it was never started.
    pub exit: Option<ProcessExit>,
}

/// Why a VM ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EndCause {
    /// The guest reset its machine, as a Linux guest does that reboots.
    GuestEnded,
    /// The guest powered off or halted. Firecracker goes on then, and was ended: the kernel's last words on the
    /// console are "Power down" or "System halted", and its processors did nothing for two seconds.
    PoweredOff,
    /// The guest's kernel panicked, which its console says. It outranks who ended the VM after that.
    GuestPanicked,
    /// It was stopped.
    Stopped,
    /// It was ended at once.
    Killed,
    /// Firecracker died: a crash, a signal, a forbidden system call.
    Crashed,
    /// The kernel killed it for using more memory than its jail's limit.
    OutOfMemory,
    /// What gave the restored guest its memory failed, and the guest could not go on.
    MemoryLost,
    /// It never started.
    StartFailed,
}

impl EndCause {
    /// Whether a panic of the guest before says more. It does not say why Firecracker died.
    pub(super) const fn is_outranked_by_a_panic(self) -> bool {
        match self {
            Self::GuestEnded | Self::PoweredOff | Self::Stopped | Self::Killed => true,
            Self::GuestPanicked
            | Self::Crashed
            | Self::OutOfMemory
            | Self::MemoryLost
            | Self::StartFailed => false,
        }
    }

    /// Its name where it is written down, as in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GuestEnded => "guest-ended",
            Self::PoweredOff => "powered-off",
            Self::GuestPanicked => "guest-panicked",
            Self::Stopped => "stopped",
            Self::Killed => "killed",
            Self::Crashed => "crashed",
            Self::OutOfMemory => "out-of-memory",
            Self::MemoryLost => "memory-lost",
            Self::StartFailed => "start-failed",
        }
    }
}
