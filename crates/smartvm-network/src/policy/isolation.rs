//! What is closed unless it is opened.

use serde::{Deserialize, Serialize};

use super::published_port::Transport;

/// What guests of a network reach besides public addresses beyond the host. Everything is closed by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Isolation {
    /// Guests of the network reach each other, over IPv4 and whatever the egress policy says.
    #[serde(default)]
    pub vm_to_vm: bool,
    /// Guests reach the host's neighbourhood: private, shared and multicast addresses beyond the host, and all
    /// that is on its networks. Closed, they reach of it what a firewall opens, and their resolvers.
    #[serde(default)]
    pub lan: bool,
    /// Guests reach 169.254.169.254, where a cloud tells its virtual machines their secrets.
    #[serde(default)]
    pub metadata: bool,
    /// Ports of the host, at any of its addresses, that guests reach.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_services: Vec<HostService>,
}

/// A port of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostService {
    /// TCP or UDP.
    pub protocol: Transport,
    /// The port.
    pub port: u16,
}
