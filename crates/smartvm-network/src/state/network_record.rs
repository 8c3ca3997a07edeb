//! What exists of a network.

use serde::{Deserialize, Serialize};

use crate::policy::{EgressPolicy, GuestBounds, Isolation, Neighbourhood, NetworkRules};
use crate::wireguard::WireGuardRecord;
use crate::{InterfaceName, Subnet, WireGuardEgress};

/// A network, as it is written down before it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkRecord {
    /// The version of this form.
    pub schema_version: u32,
    /// Its bridge.
    pub bridge: InterfaceName,
    /// Its addresses.
    pub subnet: Subnet,
    /// What is opened.
    pub isolation: Isolation,
    /// Where its guests may connect to.
    pub egress: EgressPolicy,
    /// The only link by which guests' packets may leave; none for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_out_of: Option<InterfaceName>,
    /// The WireGuard interface that all of that goes through; none without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wireguard: Option<WireGuardRecord>,
    /// The largest packet on its links; none for the kernel's choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// What each guest may take of the host's tables.
    #[serde(default)]
    pub bounds: GuestBounds,
    /// Whether the bridge is ours to remove.
    pub bridge_is_ours: bool,
}

impl NetworkRecord {
    /// Its way out through WireGuard, whether or not there is one.
    #[must_use]
    pub fn wireguard_egress(&self) -> WireGuardEgress {
        WireGuardEgress::new(self.bridge.clone(), self.subnet)
    }

    /// Its rules, on a host with such a neighbourhood.
    #[must_use]
    pub fn rules(&self, neighbourhood: Neighbourhood) -> NetworkRules {
        NetworkRules {
            network: self.bridge.clone(),
            subnet: self.subnet,
            isolation: self.isolation.clone(),
            egress: self.egress.clone(),
            only_out_of: self.only_out_of.clone(),
            bounds: self.bounds,
            tunnel: self.wireguard.as_ref().map(|wireguard| wireguard.interface.clone()),
            neighbourhood,
        }
    }
}
