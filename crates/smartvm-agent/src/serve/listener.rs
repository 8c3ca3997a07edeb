//! Where the host dials the agent.

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::{Errno, FdFlags};
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, accept_with, bind, connect, listen, socket_with,
};
use smartvm_protocol::{AGENT_PORT, DOORBELL_PORT, HOST_CID};

use super::vsock::{VsockAddress, has_device, peer_cid};
use crate::failure::{self, Failure};

/// How many connections may wait to be taken.
const BACKLOG: i32 = 128;

/// The first descriptor of those that a service manager passes on, by systemd's `sd_listen_fds(3)`.
const PASSED: i32 = 3;

/// A listening socket: the guest's port, or one that whoever started us has opened.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: OwnedFd,
}

impl Listener {
    /// The socket that was passed, else a new one on the agent's port; none when the guest has no virtual socket.
    pub(crate) fn open() -> Result<Option<Self>, Failure> {
        if let Some(passed) = Self::passed() {
            return passed.map(Some);
        }
        if !has_device() {
            return Ok(None);
        }
        let cannot = |error: Errno| Failure::new(format!("listen on port {AGENT_PORT}"), error);
        let socket = vsock().map_err(cannot)?;
        bind(&socket, &VsockAddress::of_any(AGENT_PORT)).map_err(cannot)?;
        listen(&socket, BACKLOG).map_err(cannot)?;
        let listener = Self { socket };
        listener.ring();
        Ok(Some(listener))
    }

    fn passed() -> Option<Result<Self, Failure>> {
        #[expect(clippy::disallowed_methods, reason = "it is how a service manager says this")]
        let variable = |name| std::env::var(name).ok().and_then(|value| value.parse::<u32>().ok());
        if variable("LISTEN_PID") != Some(std::process::id()) || variable("LISTEN_FDS") != Some(1) {
            return None;
        }
        #[expect(unsafe_code, reason = "a descriptor that was passed is only a number")]
        // SAFETY: by the convention this descriptor is ours and open, and `passed` is called once.
        let socket = unsafe { OwnedFd::from_raw_fd(PASSED) };
        // Programs of the guest shall not inherit it.
        let closed = rustix::io::fcntl_setfd(&socket, FdFlags::CLOEXEC);
        Some(match closed {
            Ok(()) => Ok(Self { socket }),
            Err(error) => Err(Failure::new("use the socket that was passed", error)),
        })
    }

    /// Tells the host that it may dial. One that does not listen for it polls, or never dials.
    fn ring(&self) {
        let address = VsockAddress { cid: HOST_CID, port: DOORBELL_PORT };
        let rung = vsock().and_then(|socket| connect(&socket, &address));
        match rung {
            // Firecracker refuses what nobody of the host listens for.
            Ok(()) | Err(Errno::CONNRESET | Errno::CONNREFUSED) => {}
            Err(error) => failure::report(&format!("cannot ring the host: {error}")),
        }
    }

    /// The next connection of the host, if one waits. Those of others are closed without a word.
    pub(crate) fn accept(&self) -> Result<Option<OwnedFd>, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let connection = match accept_with(&self.socket, flags) {
            Ok(connection) => connection,
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(is_of_host(&connection).then_some(connection))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn vsock() -> Result<OwnedFd, Errno> {
    socket_with(AddressFamily::VSOCK, SocketType::STREAM, SocketFlags::CLOEXEC, None)
}

/// A program of the guest can reach our port as well, where `vsock_loopback` is loaded; its identifier is another. A
/// socket of another kind is guarded by whoever has passed it.
fn is_of_host(connection: &OwnedFd) -> bool {
    peer_cid(connection).is_ok_and(|cid| cid.is_none_or(|cid| cid == HOST_CID))
}
