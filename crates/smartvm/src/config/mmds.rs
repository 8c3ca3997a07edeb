//! What the guest can look up about itself.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use smartvm_firecracker::api::{self, MmdsAddress, MmdsVersion};

use super::device_id;
use super::invalid::Breaches;
use super::network_interface::NetworkInterfaceConfig;

/// The metadata service: an HTTP server that only the guest reaches, at a link-local address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MmdsConfig {
    /// The devices whose packets reach the service, by `ifaceId`; at least one.
    #[serde(default)]
    pub network_interfaces: Vec<String>,
    /// How a guest asks. Default: V2, with a session token; V1, a plain GET that a program of the
    /// guest can be tricked into, is Firecracker's own default, and deprecated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<MmdsVersion>,
    /// The service's address, 169.254.1.0 to 169.254.254.255. Firecracker's default is
    /// 169.254.169.254.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4_address: Option<String>,
    /// Whether it answers as the service of EC2 does, with plain text. Since Firecracker 1.13.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imds_compat: Option<bool>,
    /// What the guest finds there at first; it can be replaced and changed while the VM runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Map<String, Value>>,
}

impl MmdsConfig {
    /// The most that Firecracker stores, in bytes of JSON (`--mmds-size-limit`).
    pub const MAX_DATA: usize = 51200;

    /// Checks the service of a VM that has these network devices.
    pub(crate) fn check(&self, devices: &[NetworkInterfaceConfig], breaches: &mut Breaches) {
        let path = |index: usize| format!("mmds.networkInterfaces[{index}]");
        breaches.require(
            !self.network_interfaces.is_empty(),
            "mmds.networkInterfaces",
            "must name at least one of networkInterfaces",
        );
        for (index, name) in self.network_interfaces.iter().enumerate() {
            breaches.require(
                devices.iter().any(|device| device.iface_id == *name),
                path(index),
                "must be the ifaceId of one of networkInterfaces",
            );
        }
        let names = self.network_interfaces.iter().enumerate();
        device_id::check_unique(names.map(|(i, name)| (path(i), name.clone())), breaches);
        if let Some(address) = &self.ipv4_address {
            breaches.require(
                parse(address).is_some(),
                "mmds.ipv4Address",
                "must be an address from 169.254.1.0 to 169.254.254.255",
            );
        }
        if let Some(data) = &self.data {
            breaches.require(fits(data), "mmds.data", "must have at most 51200 bytes");
        }
    }

    /// Firecracker's form, once the check found nothing.
    pub(crate) fn to_wire(&self) -> api::MmdsConfig {
        let names = self.network_interfaces.iter();
        api::MmdsConfig {
            network_interfaces: names.map(|name| device_id::to_wire(name)).collect(),
            version: Some(self.version.unwrap_or(MmdsVersion::V2)),
            ipv4_address: self.ipv4_address.as_deref().and_then(parse),
            imds_compat: self.imds_compat,
        }
    }
}

/// Whether Firecracker stores that much.
pub(crate) fn fits(data: &Map<String, Value>) -> bool {
    serde_json::to_string(data).is_ok_and(|text| text.len() <= MmdsConfig::MAX_DATA)
}

fn parse(address: &str) -> Option<MmdsAddress> {
    MmdsAddress::try_from(address.parse::<Ipv4Addr>().ok()?).ok()
}
