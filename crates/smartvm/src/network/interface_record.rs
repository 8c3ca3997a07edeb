//! What removes an interface.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use smartvm_network::{InterfaceName, Network};

/// An interface of a VM, as the VM's record names it before it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct InterfaceRecord {
    /// Where it is written down what exists of networks.
    pub(crate) state_dir: PathBuf,
    /// The network.
    pub(crate) network: InterfaceName,
    /// The host's end of the interface.
    pub(crate) tap: InterfaceName,
}

impl InterfaceRecord {
    /// Removes TAP, rules, connections, ports and address. To be gone already is success.
    pub(crate) fn remove(&self) -> io::Result<()> {
        Network::remove_interface(&self.state_dir, &self.network, &self.tap)
            .map_err(io::Error::other)
    }
}
