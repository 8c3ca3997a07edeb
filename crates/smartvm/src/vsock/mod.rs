//! Connections to what listens in the guest, and the guest's call that something does.
//!
//! Firecracker is the other end of both: it makes the Unix socket `vsock.sock`, through which a port of the guest
//! is reached, and connects to `vsock.sock_1` when something in the guest connects to port 1 of the host. That port
//! is a doorbell: it carries no data, since every program of the guest may ring it. It says that it is worth
//! while to look who listens on a port below 1024 of the guest, which only the guest's root can do.
//!
//! ```text
//! guest: agent listens on 1023 ── connects to port 1 of the host ──▶ vsock.sock_1: heard, and closed
//! owner: vsock.sock ── "CONNECT 1023\n" ──▶ "OK <number>\n", then the agent
//! ```

mod connect;
mod dial;
mod doorbell;
mod guest;

pub use connect::ConnectGuestError;
pub(crate) use doorbell::Doorbell;

/// Where Firecracker listens for connections to the guest, in the work directory.
pub(crate) const SOCKET: &str = "vsock.sock";
