//! One session's connection: frames in their order.

use std::io;
use std::time::Duration;

use smartvm_protocol::host::Hello;
use smartvm_protocol::{
    AgentFrame, Decoder, Features, Frame, GENERATION, HostFrame, LOWEST_GENERATION, SessionKind,
    Step, agent,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::dial::Dial;
use crate::guest_error::{GuestError, ProtocolFault};

/// How long an agent may take for an answer that needs no work. A guest on a busy host may stand still for seconds.
pub(crate) const ANSWER: Duration = Duration::from_secs(30);

/// How much is read at once.
const PIECE: usize = 16 << 10;

/// Frames of the agent, and whether they may come where they come.
#[derive(Debug)]
pub(crate) struct Incoming {
    stream: OwnedReadHalf,
    decoder: Decoder<AgentFrame>,
    session: SessionKind,
    step: Step,
    piece: Box<[u8]>,
    /// What of the piece was not looked at yet.
    unread: std::ops::Range<usize>,
    doing: &'static str,
}

/// What the host sends.
#[derive(Debug)]
pub(crate) struct Outgoing {
    stream: OwnedWriteHalf,
    doing: &'static str,
}

/// Opens a session: `start` goes along with the greeting. The agent's welcome is read.
pub(crate) async fn open(
    dial: &dyn Dial,
    session: SessionKind,
    start: Option<HostFrame>,
    doing: &'static str,
) -> Result<(Incoming, Outgoing, agent::Welcome), GuestError> {
    let mut opening = Vec::new();
    let hello = Hello { generation: GENERATION, features: Features::default(), session };
    for frame in [Some(HostFrame::Hello(hello)), start].into_iter().flatten() {
        frame.encode(&mut opening).map_err(|source| GuestError::TooLong { source })?;
    }
    let (mut incoming, mut outgoing) = split(dial.dial().await?, session, doing);
    let opened = async {
        outgoing.write(&opening).await?;
        incoming.next().await
    };
    match in_time(ANSWER, doing, opened).await? {
        AgentFrame::Welcome(welcome) => {
            if (LOWEST_GENERATION..=GENERATION).contains(&welcome.generation) {
                Ok((incoming, outgoing, welcome))
            } else {
                Err(ProtocolFault::Generation(welcome.generation).into())
            }
        }
        AgentFrame::Refused(refusal) => Err(GuestError::Refused { doing, refusal }),
        _ => unreachable!("nothing else may come first"),
    }
}

fn split(stream: UnixStream, session: SessionKind, doing: &'static str) -> (Incoming, Outgoing) {
    let (reading, writing) = stream.into_split();
    let incoming = Incoming {
        stream: reading,
        decoder: Decoder::default(),
        session,
        step: Step::Opening,
        piece: vec![0; PIECE].into_boxed_slice(),
        unread: 0..0,
        doing,
    };
    (incoming, Outgoing { stream: writing, doing })
}

/// The outcome of `work`, which must come within a time.
pub(crate) async fn in_time<T>(
    within: Duration,
    doing: &'static str,
    work: impl Future<Output = Result<T, GuestError>>,
) -> Result<T, GuestError> {
    timeout(within, work).await.unwrap_or(Err(GuestError::NoAnswer { doing, within }))
}

impl Incoming {
    /// The next frame, which may come there. Not cancel-safe in the middle of one; nothing is lost between two.
    ///
    /// # Errors
    /// `Lost` at the end of the connection: whoever expects one does not ask again.
    pub(crate) async fn next(&mut self) -> Result<AgentFrame, GuestError> {
        loop {
            let mut bytes = &self.piece[self.unread.clone()];
            let frame = self.decoder.next(&mut bytes)?;
            self.unread.start = self.unread.end - bytes.len();
            if let Some(frame) = frame {
                self.step = self.step.after_agent(frame.kind(), self.session)?;
                return Ok(frame);
            }
            let read = self.stream.read(&mut self.piece).await;
            match read {
                Ok(0) => return Err(self.lost(io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => self.unread = 0..read,
                Err(error) => return Err(self.lost(error)),
            }
        }
    }

    /// The next frame, which must come within a time and be no refusal.
    pub(crate) async fn answer(&mut self, within: Duration) -> Result<AgentFrame, GuestError> {
        let doing = self.doing;
        match in_time(within, doing, self.next()).await? {
            AgentFrame::Refused(refusal) => Err(GuestError::Refused { doing, refusal }),
            frame => Ok(frame),
        }
    }

    /// What has come and was not looked at, and the stream, when no frames follow.
    pub(crate) fn into_raw(self) -> (Vec<u8>, OwnedReadHalf) {
        (self.piece[self.unread].to_vec(), self.stream)
    }

    fn lost(&self, source: io::Error) -> GuestError {
        GuestError::Lost { doing: self.doing, source }
    }
}

impl Outgoing {
    /// The stream, when no frames follow.
    pub(crate) fn into_raw(self) -> OwnedWriteHalf {
        self.stream
    }

    /// Sends a frame.
    pub(crate) async fn send(&mut self, frame: &HostFrame) -> Result<(), GuestError> {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes).map_err(|source| GuestError::TooLong { source })?;
        self.write(&bytes).await
    }

    /// Sends frames that are encoded already. When it is given up in the middle, nothing more may be sent.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), GuestError> {
        let written = self.stream.write_all(bytes).await;
        written.map_err(|source| GuestError::Lost { doing: self.doing, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_agent_that_says_nothing_is_given_up() {
        let (host, _guest) = UnixStream::pair().unwrap();
        let (mut incoming, _) = split(host, SessionKind::Control, "answer");
        let error = incoming.answer(Duration::from_millis(10)).await.unwrap_err();
        assert_eq!(error.code(), "GUEST_NO_ANSWER");
    }
}
