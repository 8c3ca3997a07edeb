//! Why something in a guest could not be done.

use std::io;
use std::time::Duration;

use smartvm_protocol::{DecodeError, EncodeError, OutOfOrder, Refusal, RefusalCode};

use crate::dial::Unreachable;

/// What a call on a [`Guest`](crate::Guest) or on what runs in it ends in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuestError {
    /// The agent could not be dialled.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The agent did not do it. Nothing of it is left in the guest.
    #[error("the guest could not {doing}: {}", refusal.told())]
    Refused {
        /// What was to be done.
        doing: &'static str,
        /// The agent's words.
        refusal: Refusal,
    },
    /// The connection ended in the middle: the VM ended, was restored from a snapshot, or its agent died.
    #[error("the connection to the guest ended while it was to {doing}")]
    Lost {
        /// What was to be done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The agent did not answer.
    #[error("the guest did not answer within {} s when it was to {doing}", within.as_secs_f64())]
    NoAnswer {
        /// What was to be done.
        doing: &'static str,
        /// How long it was waited for.
        within: Duration,
    },
    /// What came is not the agent's protocol.
    #[error("the guest's agent did not keep to the protocol")]
    Protocol {
        /// What is wrong with it.
        source: ProtocolFault,
    },
    /// What was to be sent is longer than an agent takes.
    #[error("more was to be told to the guest than its agent takes at once")]
    TooLong {
        /// What was too long.
        source: EncodeError,
    },
}

/// What is wrong with what an agent sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolFault {
    /// No frame can be made of it.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The frame may not come there.
    #[error(transparent)]
    Order(#[from] OutOfOrder),
    /// It goes on with a generation that is none of ours.
    #[error("it goes on with generation {0}, which was not offered")]
    Generation(u16),
    /// It gives back more input than there was.
    #[error("it has read more input than it was sent")]
    Credit,
    /// It answers another question.
    #[error("it answers what was not asked")]
    Answer,
}

impl<T: Into<ProtocolFault>> From<T> for GuestError {
    fn from(fault: T) -> Self {
        Self::Protocol { source: fault.into() }
    }
}

impl GuestError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Unreachable(unreachable) => unreachable.code(),
            Self::Lost { .. } => "GUEST_CONNECTION_LOST",
            Self::NoAnswer { .. } => "GUEST_NO_ANSWER",
            Self::Protocol { .. } => "GUEST_PROTOCOL_VIOLATED",
            Self::TooLong { .. } => "GUEST_REQUEST_TOO_LONG",
            Self::Refused { refusal, .. } => match refusal.code {
                RefusalCode::Unsupported => "GUEST_UNSUPPORTED",
                RefusalCode::Generation => "GUEST_AGENT_TOO_NEW",
                RefusalCode::TooManySessions => "GUEST_BUSY",
                RefusalCode::Frozen => "GUEST_FROZEN",
                RefusalCode::NoProgram => "GUEST_NO_PROGRAM",
                RefusalCode::NotExecutable => "GUEST_NOT_EXECUTABLE",
                RefusalCode::NoUser => "GUEST_NO_USER",
                RefusalCode::NoGroup => "GUEST_NO_GROUP",
                RefusalCode::NoDirectory => "GUEST_NO_DIRECTORY",
                RefusalCode::NoExec => "GUEST_NO_EXEC",
                RefusalCode::Attached => "GUEST_EXEC_ATTACHED",
                RefusalCode::NoFile => "GUEST_NO_FILE",
                RefusalCode::WrongKind => "GUEST_WRONG_KIND_OF_FILE",
                RefusalCode::Archive => "GUEST_ARCHIVE_REFUSED",
                RefusalCode::GoingDown => "GUEST_GOING_DOWN",
                RefusalCode::Failed | RefusalCode::Protocol => "GUEST_FAILED",
            },
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unreachable(unreachable) => return unreachable.hint(),
            Self::Refused { refusal, .. } => match refusal.code {
                RefusalCode::TooManySessions => "end some of what runs in the guest",
                RefusalCode::Generation => "the guest's agent is newer: take a newer smartvm",
                RefusalCode::Unsupported => {
                    "the guest's agent is older: import its kernel anew, which brings the agent of this smartvm"
                }
                _ => return None,
            },
            Self::NoAnswer { .. } => "the guest may be paused, or out of memory: its console tells",
            Self::TooLong { .. } => "arguments and environment have 1 MiB together",
            Self::Lost { .. } | Self::Protocol { .. } => return None,
        };
        Some(hint.to_owned())
    }

    /// What a shell returns for a command that could not be run: 127 when there is none of that name, 126 when it cannot
    /// be executed; nothing for all else.
    #[must_use]
    pub fn shell_code(&self) -> Option<u8> {
        match self {
            Self::Refused { refusal, .. } => match refusal.code {
                RefusalCode::NoProgram => Some(127),
                RefusalCode::NotExecutable => Some(126),
                _ => None,
            },
            _ => None,
        }
    }
}
