//! A network device that is made for a VM.

use std::net::Ipv4Addr;

use smartvm_network::MacAddress;
use smartvm_network::policy::{EgressPolicy, FirewallConfig, GuestBounds, PublishedPort};

use super::network_interface::NetworkInterfaceConfig;

/// What such a device is to be, read once: nothing of it can be lost later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ManagedInterface {
    /// Its name within the VM.
    pub(crate) iface_id: String,
    /// The guest's hardware address, where one is chosen.
    pub(crate) mac: Option<MacAddress>,
    /// The guest's address, where one is chosen.
    pub(crate) address: Option<Ipv4Addr>,
    /// Where the guest may connect to, where that is less than what the manager allows.
    pub(crate) egress: Option<EgressPolicy>,
    /// Ports of the host that lead to the guest.
    pub(crate) published: Vec<PublishedPort>,
    /// What the guest may take of the host's tables, where that is less than what the manager says.
    pub(crate) bounds: Option<GuestBounds>,
}

impl ManagedInterface {
    /// That of a configuration in which the check found nothing; none for a device on a TAP that exists.
    pub(super) fn of(config: &NetworkInterfaceConfig) -> Option<Self> {
        config.is_managed().then(|| Self {
            iface_id: config.iface_id.clone(),
            mac: config.guest_mac.as_ref().map(|mac| {
                mac.to_lowercase().parse().expect("a checked hardware address is one of a device")
            }),
            address: config
                .ip_address
                .as_ref()
                .map(|address| address.parse().expect("a checked address can be read")),
            egress: config.firewall.as_ref().map(|firewall| {
                FirewallConfig::to_policy(firewall).expect("a checked firewall is a policy")
            }),
            published: config
                .published_ports
                .iter()
                .map(|port| port.parse().expect("a checked port can be published"))
                .collect(),
            bounds: config.bounds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::VmConfig;

    fn config(interface: &str) -> VmConfig {
        VmConfig::from_json(&format!(
            r#"{{"bootSource":{{"kernelImagePath":"/k"}},
                "machineConfig":{{"vcpuCount":1,"memSizeMib":128}},
                "networkInterfaces":[{interface}]}}"#
        ))
        .unwrap()
    }

    #[test]
    fn all_that_a_device_says_reaches_what_is_made_of_it() {
        let spec = config(
            r#"{"ifaceId":"eth0","guestMac":"06:00:AC:10:00:02","ipAddress":"172.30.0.7",
                "firewall":{"egress":{"defaultAction":"deny"}},
                "publishedPorts":["8080:80","192.0.2.1:53:53/udp"]}"#,
        )
        .validate()
        .unwrap();
        let [made] = &spec.managed_interfaces[..] else { panic!("one device") };
        assert_eq!(made.mac.unwrap().to_string(), "06:00:ac:10:00:02");
        assert_eq!(made.address, Some([172, 30, 0, 7].into()));
        assert_eq!(made.published.len(), 2);
        let deny = FirewallConfig::from_json(r#"{"egress":{"defaultAction":"deny"}}"#).unwrap();
        assert_eq!(made.egress.as_ref(), Some(&deny));
        let spec = config(r#"{"ifaceId":"eth0","hostDevName":"tap0"}"#).validate().unwrap();
        assert!(spec.managed_interfaces.is_empty());
    }

    /// Nothing that could not be kept is taken for nothing said.
    #[test]
    fn what_cannot_be_kept_is_refused_and_never_left_out() {
        for device in [
            r#"{"ifaceId":"eth0","guestMac":"06:00:ac:10:00"}"#,
            r#"{"ifaceId":"eth0","guestMac":"01:00:5e:00:00:01"}"#,
            r#"{"ifaceId":"eth0","guestMac":"00:00:00:00:00:00"}"#,
            r#"{"ifaceId":"eth0","ipAddress":"172.30.0.256"}"#,
            r#"{"ifaceId":"eth0","ipAddress":"fd00::1"}"#,
            r#"{"ifaceId":"eth0","firewall":{"egress":{"rules":[{"action":"deny","to":"x"}]}}}"#,
            r#"{"ifaceId":"eth0","publishedPorts":["80"]}"#,
        ] {
            assert!(config(device).validate().is_err(), "{device}");
        }
    }
}
