//! Streams to ports and sockets of a guest, without a network.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use smartvm_protocol::host::{StartForward, Target};
use smartvm_protocol::{AgentFrame, HostFrame, SessionKind};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy};

use crate::connection::{ANSWER, Incoming, Outgoing, open};
use crate::guest::Guest;
use crate::guest_error::{GuestError, ProtocolFault};

/// A connection to something in a guest. Each half is closed by itself.
#[derive(Debug)]
pub struct Forwarded {
    incoming: Incoming,
    outgoing: Outgoing,
}

impl Guest {
    /// Connects to a TCP port, as it is seen from within the guest: 127.0.0.1 is the guest.
    ///
    /// # Errors
    /// `GUEST_FAILED` when nothing listens there, and whatever [`GuestError`] names.
    pub async fn connect_tcp(
        &self,
        address: std::net::IpAddr,
        port: u16,
    ) -> Result<Forwarded, GuestError> {
        self.forward(Target::Tcp { address, port }).await
    }

    /// Connects to a Unix socket of the guest.
    ///
    /// # Errors
    /// As [`connect_tcp`](Self::connect_tcp).
    pub async fn connect_unix(&self, path: impl AsRef<Path>) -> Result<Forwarded, GuestError> {
        let path = path.as_ref().as_os_str().as_bytes().to_vec();
        self.forward(Target::Unix { path }).await
    }

    async fn forward(&self, target: Target) -> Result<Forwarded, GuestError> {
        let start = HostFrame::StartForward(StartForward { target });
        let opened = open(self.dial(), SessionKind::Forward, Some(start), "connect").await?;
        let (mut incoming, outgoing, _) = opened;
        match incoming.answer(ANSWER).await? {
            AgentFrame::ForwardStarted(_) => Ok(Forwarded { incoming, outgoing }),
            _ => Err(ProtocolFault::Answer.into()),
        }
    }
}

impl Forwarded {
    /// Carries bytes both ways until both ends have closed; the end of one way is passed on, and the other goes on.
    ///
    /// # Errors
    /// When one of the two is lost.
    pub async fn carry(
        self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> std::io::Result<()> {
        let (early, mut reading) = self.incoming.into_raw();
        let mut writing = self.outgoing.into_raw();
        let out = async {
            to.write_all(&early).await?;
            copy(&mut reading, &mut to).await?;
            to.shutdown().await
        };
        let into = async {
            copy(&mut from, &mut writing).await?;
            writing.shutdown().await
        };
        tokio::try_join!(out, into).map(|_| ())
    }
}
