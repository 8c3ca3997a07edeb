//! The network that a manager's VMs share.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use smartvm_network::policy::{EgressPolicy, FirewallConfig};
use smartvm_network::wireguard::WireGuardWay;
use smartvm_network::{Network, NetworkOptions, WireGuardSpec};

use super::resolvers;
use crate::options::SmartVmOptions;
use crate::smart_vm_error::SmartVmError;

/// The network of a manager, made with the first VM that needs it.
///
/// Dropping it, with the manager and its last VM, takes the network down unless others use it.
#[derive(Debug)]
pub(crate) struct ManagerNetwork {
    egress: EgressPolicy,
    wireguard: Option<WireGuardWay>,
    /// Whom to ask for names within the tunnel.
    tunnel_dns: Vec<Ipv4Addr>,
    network: Mutex<Option<Arc<Network>>>,
}

impl ManagerNetwork {
    /// Checks what the options say of it. Nothing is made.
    pub(crate) fn new(options: &SmartVmOptions) -> Result<Self, SmartVmError> {
        let egress = options.firewall.as_ref().map(FirewallConfig::to_policy).transpose()?;
        let wireguard = options.wireguard.as_ref().map(WireGuardSpec::try_from).transpose()?;
        let through = wireguard.as_ref().filter(|spec| spec.routes_all_vm_traffic());
        let tunnel_dns = through.and_then(WireGuardSpec::managed).map(|config| config.dns.clone());
        Ok(Self {
            tunnel_dns: tunnel_dns.unwrap_or_default(),
            egress: egress.unwrap_or_default(),
            wireguard: wireguard.map(WireGuardWay::from),
            network: Mutex::default(),
        })
    }

    /// The network, made if this is the first time. Blocks for some milliseconds then.
    pub(crate) fn open(&self, options: &SmartVmOptions) -> Result<Arc<Network>, SmartVmError> {
        let mut network = self.network.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(network) = &*network {
            return Ok(Arc::clone(network));
        }
        let made = Network::open(&NetworkOptions {
            bridge: options.bridge_name.clone(),
            subnet: options.subnet,
            isolation: options.isolation.clone(),
            egress: self.egress.clone(),
            wireguard: self.wireguard.clone(),
            bounds: options.guest_bounds,
            state_dir: options.network_state_dir.clone(),
            ..NetworkOptions::default()
        })?;
        if options.dns.is_none() && self.resolvers(options).is_empty() {
            tracing::warn!(
                "the host has resolvers on its loopback only, which guests do not reach: they are told none; \
                 name some (`--dns`, or `dns` of the options)"
            );
        }
        Ok(Arc::clone(network.insert(Arc::new(made))))
    }

    /// Whom guests are told to ask for names: who is named, those of the tunnel, or the host's.
    pub(super) fn resolvers(&self, options: &SmartVmOptions) -> Vec<Ipv4Addr> {
        match &options.dns {
            Some(dns) => dns.clone(),
            None if !self.tunnel_dns.is_empty() => self.tunnel_dns.clone(),
            None => resolvers::of_host(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(json: &str) -> Option<&'static str> {
        let options: SmartVmOptions = serde_json::from_str(json).unwrap();
        ManagerNetwork::new(&options).err().map(|error| error.code())
    }

    #[test]
    fn guests_ask_the_resolvers_of_the_tunnel_unless_others_are_named() {
        let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=";
        let text = format!("[Interface]\\nPrivateKey={key}\\nAddress=10.0.0.2\\nDNS=10.64.0.1,lan");
        let told = |json: &str| {
            let options: SmartVmOptions = serde_json::from_str(json).unwrap();
            ManagerNetwork::new(&options).unwrap().resolvers(&options)
        };
        let tunnel = format!(r#""wireguard":{{"config":"{text}"}}"#);
        assert_eq!(told(&format!("{{{tunnel}}}")), [Ipv4Addr::new(10, 64, 0, 1)]);
        let named = format!(r#"{{{tunnel},"dns":["9.9.9.9"]}}"#);
        assert_eq!(told(&named), [Ipv4Addr::new(9, 9, 9, 9)]);
        assert_eq!(told(r#"{"dns":[]}"#), [Ipv4Addr::UNSPECIFIED; 0]);
    }

    #[test]
    fn options_that_are_wrong_are_refused_before_anything_is_made() {
        assert_eq!(code_of("{}"), None);
        assert_eq!(code_of(r#"{"wireguard":{"existingInterface":"wg0"}}"#), None);
        for (json, code) in [
            (r#"{"wireguard":{}}"#, "INVALID_WIREGUARD_CONFIG"),
            (
                r#"{"wireguard":{"existingInterface":"wg0","config":"[Interface]"}}"#,
                "INVALID_WIREGUARD_CONFIG",
            ),
            (r#"{"wireguard":{"config":"[Interface]\nPostUp = x"}}"#, "INVALID_WIREGUARD_CONFIG"),
            (r#"{"wireguard":{"existingInterface":"bad name"}}"#, "INVALID_INTERFACE_NAME"),
            (r#"{"firewall":{"egress":{"defaultAction":"maybe"}}}"#, "INVALID_FIREWALL_CONFIG"),
        ] {
            assert_eq!(code_of(json), Some(code), "{json}");
        }
    }
}
