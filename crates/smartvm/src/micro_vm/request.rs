//! What a handle asks of the driver.

use std::time::Duration;

use tokio::sync::oneshot;

use super::report::{StartReport, StopReport};
use super::update::Update;
use crate::lifecycle::Call;
use crate::smart_vm_error::SmartVmError;
use crate::snapshot::{CreateSnapshot, Snapshot, SnapshotName};

/// Where the driver puts the answer.
pub(super) type Reply<T> = oneshot::Sender<Result<T, SmartVmError>>;

#[derive(Debug)]
pub(super) enum Request {
    Start(Reply<StartReport>),
    Pause(Reply<()>),
    Resume(Reply<()>),
    Stop { patience: Duration, reply: Reply<StopReport> },
    Kill(Reply<()>),
    Cleanup(Reply<()>),
    Update { update: Box<Update>, reply: Reply<()> },
    Save { snapshot: CreateSnapshot, reply: Reply<Snapshot> },
}

impl Request {
    pub(super) fn call(&self) -> Call {
        match self {
            Self::Start(_) => Call::Start,
            Self::Pause(_) => Call::Pause,
            Self::Resume(_) => Call::Resume,
            Self::Stop { .. } => Call::Stop,
            Self::Kill(_) => Call::Kill,
            Self::Cleanup(_) => Call::Cleanup,
            Self::Update { update, .. } => Call::Live(update.call()),
            Self::Save { .. } => Call::Snapshot,
        }
    }

    /// Whether the request ends the VM at once, whatever it is doing.
    pub(super) fn is_urgent(&self) -> bool {
        matches!(self, Self::Kill(_) | Self::Cleanup(_))
    }

    /// What may be written down of it.
    pub(super) fn detail(&self) -> Option<&str> {
        match self {
            Self::Save { snapshot, .. } => snapshot.name.as_ref().map(SnapshotName::as_str),
            _ => None,
        }
    }

    /// Whether the request ends the VM, gently first.
    pub(super) fn is_stop(&self) -> bool {
        matches!(self, Self::Stop { .. })
    }

    /// Answers with an error. A caller that has gone is no concern of ours.
    pub(super) fn refuse(self, error: SmartVmError) {
        match self {
            Self::Start(reply) => drop(reply.send(Err(error))),
            Self::Stop { reply, .. } => drop(reply.send(Err(error))),
            Self::Save { reply, .. } => drop(reply.send(Err(error))),
            Self::Pause(reply)
            | Self::Resume(reply)
            | Self::Kill(reply)
            | Self::Cleanup(reply)
            | Self::Update { reply, .. } => drop(reply.send(Err(error))),
        }
    }
}
