//! Questions and orders to the agent itself.

use std::time::Duration;

use smartvm_protocol::agent::{FactsAre, Pong, Renewed};
use smartvm_protocol::host::{Facts, Ping, Quiesce, Renew, Shutdown, Thaw};
use smartvm_protocol::{AgentFrame, HostFrame, SessionKind};

use crate::connection::{ANSWER, open};
use crate::guest::Guest;
use crate::guest_error::{GuestError, ProtocolFault};

impl Guest {
    /// Whether the agent answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), GuestError> {
        let nonce = u64::from(std::process::id());
        match self.ask(HostFrame::Ping(Ping { nonce }), ANSWER, "answer").await? {
            AgentFrame::Pong(Pong { nonce: answered }) if answered == nonce => Ok(()),
            _ => Err(ProtocolFault::Answer.into()),
        }
    }

    /// What the guest says of itself.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn facts(&self) -> Result<FactsAre, GuestError> {
        match self.ask(HostFrame::Facts(Facts {}), ANSWER, "tell of itself").await? {
            AgentFrame::FactsAre(facts) => Ok(facts),
            _ => Err(ProtocolFault::Answer.into()),
        }
    }

    /// Has the guest shut down: its programs get `signal` (SIGTERM unless one is given) and `grace` to end, what is written
    /// is brought to the drives, and the machine is switched off, which ends the VM.
    ///
    /// Returns when the guest has begun.
    ///
    /// # Errors
    /// When it does not answer or will not.
    pub async fn shut_down(&self, grace: Duration, signal: Option<u32>) -> Result<(), GuestError> {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        let order = HostFrame::Shutdown(Shutdown { grace_ms, signal });
        match self.ask(order, ANSWER, "shut down").await? {
            AgentFrame::ShuttingDown(_) => Ok(()),
            _ => Err(ProtocolFault::Answer.into()),
        }
    }

    /// Has the guest's programs stand still and all that they wrote brought to the drives, for a snapshot. The other
    /// connections to it are closed.
    ///
    /// # Errors
    /// When it does not answer within a minute or cannot.
    pub async fn quiesce(&self) -> Result<(), GuestError> {
        let order = HostFrame::Quiesce(Quiesce {});
        match self.ask(order, Duration::from_secs(60), "stand still").await? {
            AgentFrame::Quiesced(_) => Ok(()),
            _ => Err(ProtocolFault::Answer.into()),
        }
    }

    /// Lets the guest's programs go on after [`quiesce`](Self::quiesce).
    ///
    /// # Errors
    /// When it does not answer or cannot.
    pub async fn thaw(&self) -> Result<(), GuestError> {
        match self.ask(HostFrame::Thaw(Thaw {}), ANSWER, "go on").await? {
            AgentFrame::Thawed(_) => Ok(()),
            _ => Err(ProtocolFault::Answer.into()),
        }
    }

    /// Makes a guest that was restored from a snapshot one of its own, before its programs go on.
    ///
    /// # Errors
    /// When any step of it fails; the guest's programs stand still then.
    pub async fn renew(&self, renew: Renew) -> Result<Renewed, GuestError> {
        let vm_generation = renew.vm_generation;
        match self.ask(HostFrame::Renew(renew), ANSWER, "become another guest").await? {
            AgentFrame::Renewed(renewed) if renewed.vm_generation == vm_generation => Ok(renewed),
            _ => Err(ProtocolFault::Answer.into()),
        }
    }

    async fn ask(
        &self,
        question: HostFrame,
        within: Duration,
        doing: &'static str,
    ) -> Result<AgentFrame, GuestError> {
        let opened = open(self.dial(), SessionKind::Control, Some(question), doing).await?;
        let (mut incoming, _outgoing, _) = opened;
        incoming.answer(within).await
    }
}
