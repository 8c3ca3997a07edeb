//! What making a network can end in.

use std::io;
use std::net::Ipv4Addr;

use super::detach::DetachError;
use crate::netlink::NetlinkError;
use crate::nft::NotInForce;
use crate::state::StateError;
use crate::wireguard::SetUpWireGuardError;
use crate::{InterfaceName, Subnet};

/// A network that could not be made. What was made of it until then is gone again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenNetworkError {
    /// The host reaches these addresses elsewhere.
    #[error("the host has a route to {route}, which meets the subnet {subnet}")]
    SubnetInUse {
        /// What was wanted.
        subnet: Subnet,
        /// The route.
        route: String,
        /// A subnet that meets no route.
        free: Option<Subnet>,
    },
    /// Guests can have no such addresses.
    #[error("the subnet {subnet} has {what} in it")]
    SubnetUnfit {
        /// What was wanted.
        subnet: Subnet,
        /// What these addresses are.
        what: &'static str,
    },
    /// A link of that name is no bridge.
    #[error("{bridge} exists and is no bridge")]
    NotABridge {
        /// The name.
        bridge: InterfaceName,
    },
    /// The bridge is somebody else's, and not as guests need it.
    #[error("bridge {bridge} exists, and {lack}")]
    BridgeUnfit {
        /// The bridge.
        bridge: InterfaceName,
        /// What it lacks.
        lack: String,
        /// What would do.
        remedy: String,
    },
    /// Others use the network with other settings.
    #[error("network {bridge} is in use with another {what}")]
    Differs {
        /// The network.
        bridge: InterfaceName,
        /// What differs.
        what: &'static str,
    },
    /// The kernel refused.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// There is no way out through WireGuard.
    #[error(transparent)]
    WireGuard(#[from] SetUpWireGuardError),
    /// The rules are not as they were made.
    #[error(transparent)]
    NotInForce(#[from] NotInForce),
    /// The files that say what exists cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// What was left of another network could not be removed.
    #[error("cannot remove what is left of an unused network of that name")]
    Undo(#[source] Box<DetachError>),
    /// A step was not done.
    #[error("cannot {step} for network {bridge}")]
    Step {
        /// The network.
        bridge: InterfaceName,
        /// The step.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl OpenNetworkError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::SubnetInUse { .. } => "SUBNET_IN_USE",
            Self::SubnetUnfit { .. } => "INVALID_SUBNET",
            Self::NotABridge { .. } | Self::BridgeUnfit { .. } => "BRIDGE_UNUSABLE",
            Self::Differs { .. } => "NETWORK_DIFFERS",
            Self::Netlink(error) => error.code(),
            Self::WireGuard(error) => error.code(),
            Self::NotInForce(error) => error.code(),
            Self::State(error) => error.code(),
            Self::Undo(error) => error.code(),
            Self::Step { .. } => "NETWORK_FAILED",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::SubnetInUse { free: Some(free), .. } => {
                Some(format!("choose a subnet that no route meets, such as {free}"))
            }
            Self::SubnetInUse { free: None, .. } => Some(
                "choose a subnet that no route meets; `ip route show table all` lists them"
                    .to_owned(),
            ),
            Self::SubnetUnfit { .. } => {
                Some(format!("choose a private one, such as {}", Subnet::default()))
            }
            Self::NotABridge { .. } => Some("choose another name for the bridge".to_owned()),
            Self::BridgeUnfit { remedy, .. } => {
                Some(format!("{remedy}, or choose a name that is free: the bridge is then made"))
            }
            Self::Differs { .. } => Some(
                "use the same settings, choose another bridge and subnet, or end the VMs that use \
                 it"
                .to_owned(),
            ),
            Self::Netlink(error) => error.hint(),
            Self::WireGuard(error) => error.hint(),
            Self::NotInForce(error) => error.hint(),
            Self::State(error) => error.hint(),
            Self::Undo(error) => error.hint(),
            Self::Step { .. } => None,
        }
    }
}

/// What a bridge of others lacks to be a gateway.
pub(super) fn no_gateway(
    bridge: &InterfaceName,
    gateway: Ipv4Addr,
    prefix: u8,
) -> OpenNetworkError {
    OpenNetworkError::BridgeUnfit {
        bridge: bridge.clone(),
        lack: format!("it has not the gateway's address {gateway}/{prefix}"),
        remedy: format!("`ip addr add {gateway}/{prefix} dev {bridge}`"),
    }
}
