//! What making a guest's interface can end in.

use std::{fmt, io};

use crate::link::MakeTapError;
use crate::netlink::NetlinkError;
use crate::nft::NotInForce;
use crate::state::{LeaseError, PortConflict, StateError};
use crate::wireguard::SetUpWireGuardError;
use crate::{InterfaceName, MacAddress};

/// An interface that could not be made. What was made of it until then is gone again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The VM has that interface already.
    #[error("VM {vm} has an interface {iface} already, behind {tap}")]
    Exists {
        /// The VM.
        vm: String,
        /// Its interface.
        iface: String,
        /// The TAP.
        tap: InterfaceName,
    },
    /// Another has that hardware address.
    #[error("hardware address {mac} is in use by {holder}")]
    MacInUse {
        /// What was asked for.
        mac: MacAddress,
        /// Whose it is.
        holder: MacHolder,
    },
    /// The bridge has gone.
    #[error("bridge {bridge} is gone")]
    NoBridge {
        /// The bridge.
        bridge: InterfaceName,
    },
    /// There is no address for it.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// A port cannot be published.
    #[error(transparent)]
    Port(#[from] PortConflict),
    /// There is no TAP for it.
    #[error(transparent)]
    Tap(#[from] MakeTapError),
    /// The kernel refused.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// There is no way out through WireGuard any more.
    #[error(transparent)]
    WireGuard(#[from] SetUpWireGuardError),
    /// The rules are not as they were made.
    #[error(transparent)]
    NotInForce(#[from] NotInForce),
    /// The files that say what exists cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// A step was not done.
    #[error("cannot {step} for VM {vm}")]
    Step {
        /// The VM.
        vm: String,
        /// The step.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Who has a hardware address.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MacHolder {
    /// A VM.
    Vm {
        /// The VM.
        vm: String,
        /// The TAP behind which it is.
        tap: InterfaceName,
    },
    /// The host: a bridge, or its end of guests' interfaces.
    Host,
    /// The host, or a machine on the bridge that we know nothing else of.
    OnBridge,
}

impl fmt::Display for MacHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vm { vm, tap } => write!(f, "VM {vm}, behind {tap}"),
            Self::Host => f.write_str("the host"),
            Self::OnBridge => f.write_str("the host or another machine on the bridge"),
        }
    }
}

impl AttachError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Exists { .. } => "INTERFACE_EXISTS",
            Self::MacInUse { .. } => "MAC_IN_USE",
            Self::NoBridge { .. } => "BRIDGE_UNUSABLE",
            Self::Lease(error) => error.code(),
            Self::Port(error) => error.code(),
            Self::Tap(error) => error.code(),
            Self::Netlink(error) => error.code(),
            Self::WireGuard(error) => error.code(),
            Self::NotInForce(error) => error.code(),
            Self::State(error) => error.code(),
            Self::Step { .. } => "NETWORK_FAILED",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Exists { .. } => {
                Some("`smartvm net gc` removes what dead owners left".to_owned())
            }
            Self::MacInUse { .. } => {
                Some("choose another `guestMac`, or leave it out: one is then made up".to_owned())
            }
            Self::NoBridge { .. } => {
                Some("end the VMs of the network; the next start makes it again".to_owned())
            }
            Self::Lease(error) => error.hint(),
            Self::Port(error) => error.hint(),
            Self::Tap(error) => error.hint(),
            Self::Netlink(error) => error.hint(),
            Self::WireGuard(error) => error.hint(),
            Self::NotInForce(error) => error.hint(),
            Self::State(error) => error.hint(),
            Self::Step { .. } => None,
        }
    }
}
