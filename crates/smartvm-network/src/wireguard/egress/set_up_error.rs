//! Why the way through WireGuard could not be made.

use std::{fmt, io};

use thiserror::Error;

use crate::InterfaceName;
use crate::netlink::NetlinkError;

/// The WireGuard egress could not be set up. What had been made for it is gone again, but for what
/// [`not_undone`](Self::not_undone) lists. Code `WIREGUARD_SETUP_FAILED`.
#[derive(Debug)]
pub struct SetUpWireGuardError {
    problem: SetUpProblem,
    not_undone: Vec<NetlinkError>,
}

#[derive(Debug, Error)]
pub(super) enum SetUpProblem {
    #[error("cannot make WireGuard interface `{name}`: there is a link of that name")]
    NameTaken { name: InterfaceName },
    #[error("there is no interface `{name}` to route the VMs through")]
    NoInterface { name: InterfaceName },
    #[error("WireGuard interface `{name}` is gone, or has another configuration")]
    NotConfigured { name: InterfaceName },
    #[error("the interface `{name}` is down, so nothing can be routed through it")]
    Down { name: InterfaceName },
    #[error("routing table {table} has a default route already, {leads}")]
    ForeignRoute { table: u32, leads: String },
    #[error("cannot find the WireGuard peer `{host}`")]
    Endpoint { host: String, source: io::Error },
    #[error("cannot set up the way through WireGuard interface `{name}`")]
    Kernel { name: InterfaceName, source: NetlinkError },
}

impl fmt::Display for SetUpWireGuardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl std::error::Error for SetUpWireGuardError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.problem.source()
    }
}

impl SetUpWireGuardError {
    pub(super) fn new(problem: SetUpProblem, not_undone: Vec<NetlinkError>) -> Self {
        Self { problem, not_undone }
    }

    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "WIREGUARD_SETUP_FAILED"
    }

    /// What could not be undone: it is left on the host until the network is swept.
    #[must_use]
    pub fn not_undone(&self) -> &[NetlinkError] {
        &self.not_undone
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match &self.problem {
            SetUpProblem::NameTaken { name } => format!(
                "give another `interfaceName`, or route through it as it is: \"existingInterface\": \"{name}\""
            ),
            SetUpProblem::NoInterface { name } => {
                format!("make it first, for instance with `wg-quick up {name}`")
            }
            SetUpProblem::NotConfigured { .. } => {
                "its keys are not kept: start a VM with the configuration, which makes it again"
                    .to_owned()
            }
            SetUpProblem::Down { name } => format!("bring it up: ip link set {name} up"),
            SetUpProblem::ForeignRoute { .. } => {
                "give a `routeTable` that nothing else uses".to_owned()
            }
            SetUpProblem::Endpoint { .. } => {
                "see that the host can look the name up, or give the peer's address".to_owned()
            }
            SetUpProblem::Kernel { source, .. } => match source.errno()? {
                libc::EOPNOTSUPP | libc::ENOENT => {
                    "the kernel has no WireGuard: see that its module `wireguard` can be loaded"
                        .to_owned()
                }
                libc::EADDRINUSE => "give another `ListenPort`, or none".to_owned(),
                _ => source.hint()?,
            },
        })
    }
}
