//! A VM's guest, dialled through its handle.

use std::io;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::timeout;

use super::dial::dial;
use crate::micro_vm::MicroVm;
use crate::vm_id::VmId;

/// How long Firecracker and the guest's kernel may take for one connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// The guest could not be reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectGuestError {
    /// The VM has no device for it.
    #[error("VM {id} has no vsock, through which its guest is reached")]
    NoVsock {
        /// The VM.
        id: VmId,
    },
    /// It was not started, or has ended.
    #[error("VM {id} does not run")]
    NotRunning {
        /// The VM.
        id: VmId,
    },
    /// Nothing in the guest has rung within the time.
    #[error("the agent in the guest of VM {id} was not ready within {} s", patience.as_secs_f64())]
    NotReady {
        /// The VM.
        id: VmId,
        /// How long it was waited for.
        patience: Duration,
    },
    /// Nothing listens there.
    #[error("nothing listens on port {port} in the guest of VM {id}")]
    Refused {
        /// The VM.
        id: VmId,
        /// The port.
        port: u32,
    },
    /// Something else went wrong.
    #[error("cannot connect to port {port} in the guest of VM {id}")]
    Failed {
        /// The VM.
        id: VmId,
        /// The port.
        port: u32,
        /// What the system said.
        source: io::Error,
    },
}

impl ConnectGuestError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoVsock { .. } => "NO_VSOCK",
            Self::NotRunning { .. } => "VM_NOT_RUNNING",
            Self::NotReady { .. } => "AGENT_NOT_READY",
            Self::Refused { .. } => "GUEST_PORT_CLOSED",
            Self::Failed { .. } => "GUEST_CONNECT_FAILED",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoVsock { .. } => "configure a vsock, such as {\"guestCid\":3}",
            Self::NotReady { .. } => {
                "the guest still boots, or has no smartvm-agent, as the initramfs of an imported kernel brings \
                 it; its console tells"
            }
            Self::NotRunning { .. } | Self::Refused { .. } | Self::Failed { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

impl MicroVm {
    /// Connects to whatever listens on `port` of the guest's virtual socket. Half-close and reset are those of the
    /// guest's kernel. Dropping the stream closes the connection.
    ///
    /// It is written down who asked for it; what goes through the connection is not.
    ///
    /// A port below 1024 is only listened on by the guest's root; whatever comes is the guest's word all the same.
    ///
    /// # Errors
    /// `NO_VSOCK`, `VM_NOT_RUNNING`; `GUEST_PORT_CLOSED` when nothing listens there; `GUEST_CONNECT_FAILED`
    /// when Firecracker does not answer, within ten seconds.
    pub async fn connect_guest(&self, port: u32) -> Result<UnixStream, ConnectGuestError> {
        let audited = self.audited_connection(port);
        let connected = self.dial_guest(port).await;
        audited.done(connected.as_ref().err().map(ConnectGuestError::code));
        connected
    }

    async fn dial_guest(&self, port: u32) -> Result<UnixStream, ConnectGuestError> {
        let id = || self.id().clone();
        if self.spec().config().vsock.is_none() {
            return Err(ConnectGuestError::NoVsock { id: id() });
        }
        let guest =
            self.guest_socket().ok_or_else(|| ConnectGuestError::NotRunning { id: id() })?;
        let dialled = timeout(PATIENCE, dial(&guest.work_dir, guest.firecracker, port)).await;
        match dialled.unwrap_or_else(|late| Err(io::Error::new(io::ErrorKind::TimedOut, late))) {
            Ok(stream) => Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                Err(ConnectGuestError::Refused { id: id(), port })
            }
            Err(source) => Err(ConnectGuestError::Failed { id: id(), port, source }),
        }
    }

    /// Waits until the guest has rung since it was started or restored: its agent listens then. Returns at once when
    /// it has.
    ///
    /// # Errors
    /// `AGENT_NOT_READY` after `patience`; `NO_VSOCK`; `VM_NOT_RUNNING`, also when the VM ends meanwhile.
    pub async fn wait_for_agent(&self, patience: Duration) -> Result<(), ConnectGuestError> {
        let id = || self.id().clone();
        if self.spec().config().vsock.is_none() {
            return Err(ConnectGuestError::NoVsock { id: id() });
        }
        let guest =
            self.guest_socket().ok_or_else(|| ConnectGuestError::NotRunning { id: id() })?;
        let mut rings = guest.rings;
        tokio::select! {
            biased;
            rang = rings.wait_for(|rings| *rings > 0) => match rang {
                Ok(_) => Ok(()),
                Err(_) => Err(ConnectGuestError::NotRunning { id: id() }),
            },
            _ = self.wait() => Err(ConnectGuestError::NotRunning { id: id() }),
            () = tokio::time::sleep(patience) => {
                Err(ConnectGuestError::NotReady { id: id(), patience })
            }
        }
    }
}
