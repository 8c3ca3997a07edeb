//! What names an interface of a VM, and removes it.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use smartvm_network::{InterfaceName, Network, names};

use crate::options::SmartVmOptions;
use crate::vm_id::VmId;

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
    /// The interface `iface` of the VM with the directory `vm_dir`, whether it is made or not.
    pub(crate) fn new(options: &SmartVmOptions, vm_dir: &Path, vm: &VmId, iface: &str) -> Self {
        let (network, scope) = (options.bridge_name.clone(), vm_dir.to_string_lossy());
        Self {
            state_dir: options.network_state_dir.clone(),
            tap: names::tap(&network, &scope, vm.as_str(), iface),
            network,
        }
    }

    /// Removes TAP, rules, connections, ports and address. To be gone already is success.
    pub(crate) fn remove(&self) -> io::Result<()> {
        Network::remove_interface(&self.state_dir, &self.network, &self.tap)
            .map_err(io::Error::other)
    }
}
