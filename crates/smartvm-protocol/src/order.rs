//! Which frame may come when.

use crate::frame::{AgentKind, HostKind};
use crate::generation::SessionKind;

/// How many bytes of input may be on their way to a program that has not read them.
pub const STDIN_WINDOW: u32 = 64 << 10;

/// A frame that may not come where it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("failed to go on with a session: {frame} may not come {step}")]
pub struct OutOfOrder {
    /// The frame, by its name in the protocol.
    pub frame: &'static str,
    /// Where it came.
    pub step: Step,
}

/// How far one side's frames have come in a session. Each side has one for what it receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Nothing has come: `Hello` or `Welcome` is due.
    Opening,
    /// What starts the session is due, or the answer to that.
    Starting(SessionKind),
    /// The session goes on.
    Running(SessionKind),
    /// The input of a program has ended, and the session goes on.
    WithoutInput(SessionKind),
    /// Raw bytes, and no frames any more.
    Raw,
    /// Nothing may come any more.
    Ended,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Opening => f.write_str("first"),
            Self::Starting(kind) => write!(f, "at the start of {kind:?}"),
            Self::Running(kind) => write!(f, "within {kind:?}"),
            Self::WithoutInput(kind) => write!(f, "within {kind:?} after the end of its input"),
            Self::Raw => f.write_str("within a forwarded stream"),
            Self::Ended => f.write_str("after the end"),
        }
    }
}

impl Step {
    /// The step after a frame of the host, as the agent sees it. `session` is what `Hello` says, and counts only there.
    ///
    /// # Errors
    /// When the frame may not come here.
    pub fn after_host(self, kind: HostKind, session: SessionKind) -> Result<Self, OutOfOrder> {
        use HostKind as H;
        use SessionKind as S;
        Ok(match (self, kind) {
            (Self::Opening, H::Hello) => match session {
                S::Control => Self::Running(S::Control),
                other => Self::Starting(other),
            },
            (Self::Starting(kind @ S::Exec), H::StartExec)
            | (Self::Starting(kind @ S::Attach), H::StartAttach)
            | (Self::Starting(kind @ S::Write), H::StartWrite) => Self::Running(kind),
            (Self::Starting(S::Read), H::StartRead) => Self::Ended,
            (Self::Starting(S::Forward), H::StartForward) => Self::Raw,
            (Self::Running(S::Exec | S::Attach), H::Stdin) | (Self::Running(S::Write), H::Data) => {
                self
            }
            (Self::Running(S::Exec | S::Attach) | Self::WithoutInput(_), H::Resize | H::Signal) => {
                self
            }
            (Self::Running(kind @ (S::Exec | S::Attach)), H::StdinEnd) => Self::WithoutInput(kind),
            (Self::Running(S::Exec | S::Attach) | Self::WithoutInput(_), H::Detach)
            | (Self::Running(S::Write), H::DataEnd) => Self::Ended,
            (
                Self::Running(S::Control),
                H::Ping | H::Facts | H::Shutdown | H::Quiesce | H::Thaw | H::Renew,
            ) => self,
            (step, kind) => return Err(OutOfOrder { frame: kind.name(), step }),
        })
    }

    /// The step after a frame of the agent, as the host sees it. `session` is what the host's `Hello` said.
    ///
    /// # Errors
    /// When the frame may not come here.
    pub fn after_agent(self, kind: AgentKind, session: SessionKind) -> Result<Self, OutOfOrder> {
        use AgentKind as A;
        use SessionKind as S;
        Ok(match (self, kind) {
            (Self::Opening, A::Welcome) => match session {
                S::Control => Self::Running(S::Control),
                other => Self::Starting(other),
            },
            (Self::Running(S::Control), A::Refused) => self,
            (Self::Opening | Self::Starting(_), A::Refused)
            | (Self::Running(S::Read | S::Write), A::Refused) => Self::Ended,
            (Self::Starting(kind @ (S::Exec | S::Attach)), A::Started)
            | (Self::Starting(kind @ S::Read), A::ReadStarted)
            | (Self::Starting(kind @ S::Write), A::WriteStarted) => Self::Running(kind),
            (Self::Starting(S::Forward), A::ForwardStarted) => Self::Raw,
            (
                Self::Running(S::Exec | S::Attach),
                A::Stdout | A::Stderr | A::StdinCredit | A::Gap,
            )
            | (Self::Running(S::Read), A::Data) => self,
            (Self::Running(S::Exec | S::Attach), A::Exit)
            | (Self::Running(S::Read), A::DataEnd)
            | (Self::Running(S::Write), A::Written) => Self::Ended,
            (
                Self::Running(S::Control),
                A::Pong | A::FactsAre | A::ShuttingDown | A::Quiesced | A::Thawed | A::Renewed,
            ) => self,
            (step, kind) => return Err(OutOfOrder { frame: kind.name(), step }),
        })
    }
}

#[cfg(test)]
mod tests;
