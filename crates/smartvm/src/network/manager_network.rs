//! The network that a manager's VMs share.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use smartvm_network::{Network, NetworkOptions};

use super::resolvers;
use crate::options::SmartVmOptions;
use crate::smart_vm_error::SmartVmError;

/// The network of a manager, made with the first VM that needs it.
///
/// Dropping it, with the manager and its last VM, takes the network down unless others use it.
#[derive(Debug, Default)]
pub(crate) struct ManagerNetwork {
    network: Mutex<Option<Arc<Network>>>,
}

impl ManagerNetwork {
    /// The network, made if this is the first time. Blocks for some milliseconds then.
    pub(crate) fn open(&self, options: &SmartVmOptions) -> Result<Arc<Network>, SmartVmError> {
        let mut network = self.network.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(network) = &*network {
            return Ok(Arc::clone(network));
        }
        let egress =
            options.firewall.as_ref().map(smartvm_network::policy::FirewallConfig::to_policy);
        let made = Network::open(&NetworkOptions {
            bridge: options.bridge_name.clone(),
            subnet: options.subnet,
            isolation: options.isolation.clone(),
            egress: egress.transpose()?.unwrap_or_default(),
            state_dir: options.network_state_dir.clone(),
            ..NetworkOptions::default()
        })?;
        Ok(Arc::clone(network.insert(Arc::new(made))))
    }

    /// Takes the network down unless others use it.
    pub(crate) fn close(&self) {
        let network = self.network.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A VM that is being started has it as well; what it leaves is for the next sweep.
        let Some(network) = network.and_then(Arc::into_inner) else { return };
        if let Err(error) = network.close() {
            tracing::warn!(%error, "cannot take the network down; the next sweep does");
        }
    }
}

impl Drop for ManagerNetwork {
    fn drop(&mut self) {
        self.close();
    }
}

/// Whom the guests of a manager ask for names.
pub(super) fn resolvers(options: &SmartVmOptions) -> Vec<Ipv4Addr> {
    options.dns.clone().unwrap_or_else(resolvers::of_host)
}
