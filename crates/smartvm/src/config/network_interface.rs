//! A network device of the guest.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use smartvm_firecracker::api::{MacAddress, Mtu, NetworkInterface};
use smartvm_network::InterfaceName;
use smartvm_network::policy::{FirewallConfig, GuestBounds, PublishedPort};

use super::device_id;
use super::invalid::Breaches;
use super::rate_limiter::RateLimiterConfig;

/// One network device: a TAP of the host as a network card of the guest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkInterfaceConfig {
    /// Names the device within the VM: letters, digits and `_`.
    #[serde(default)]
    pub iface_id: String,
    /// A TAP device that exists already and that no other VM uses. Absent, the VM gets one of its
    /// own on the manager's network, with an address, for as long as it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_dev_name: Option<String>,
    /// The guest's hardware address, such as `06:00:ac:10:00:02`; absent, the guest chooses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_mac: Option<String>,
    /// The largest packet that the guest is told to send, 68 to 65535 bytes. Since Firecracker 1.16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// The guest's address on the manager's network, such as `172.30.0.7`; absent, the next free one.
    /// The guest is told by `ip=` on its kernel's command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// Where the guest may connect to, of what the manager's firewall allows; absent, all of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firewall: Option<FirewallConfig>,
    /// Ports of the host that lead to the guest, each `[ADDRESS:]HOST_PORT:GUEST_PORT[/tcp|udp]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published_ports: Vec<String>,
    /// What the guest may take of the host's tables, of what the manager says; absent, all of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<GuestBounds>,
    /// How fast the guest may receive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rx_rate_limiter: Option<RateLimiterConfig>,
    /// How fast the guest may send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_rate_limiter: Option<RateLimiterConfig>,
}

impl NetworkInterfaceConfig {
    /// Checks the device; `place` is where it stands, such as `networkInterfaces[0]`.
    pub(crate) fn check(&self, place: &str, breaches: &mut Breaches) {
        device_id::check(&self.iface_id, format!("{place}.ifaceId"), breaches);
        match &self.host_dev_name {
            None => self.check_managed(place, breaches),
            Some(name) => {
                breaches.require(
                    name.parse::<InterfaceName>().is_ok(),
                    format!("{place}.hostDevName"),
                    "must be 1 to 15 letters, digits, `_`, `.`, `:` or `-`, the first a letter or digit",
                );
                let none = "must be absent beside hostDevName: the device is not ours";
                breaches.require(self.ip_address.is_none(), format!("{place}.ipAddress"), none);
                breaches.require(self.firewall.is_none(), format!("{place}.firewall"), none);
                breaches.require(self.bounds.is_none(), format!("{place}.bounds"), none);
                let ports = format!("{place}.publishedPorts");
                breaches.require(self.published_ports.is_empty(), ports, none);
            }
        }
        if let Some(mac) = &self.guest_mac {
            let path = format!("{place}.guestMac");
            match mac.parse::<MacAddress>().map(MacAddress::octets) {
                Err(_) => {
                    breaches.add(path, "must be six pairs of hex digits with `:` between them");
                }
                Ok(mac) => breaches.require(
                    mac[0] & 1 == 0 && mac != [0; 6],
                    path,
                    "must be the address of a single device",
                ),
            }
        }
        if let Some(mtu) = self.mtu {
            breaches.require(
                (68..=65535).contains(&mtu),
                format!("{place}.mtu"),
                "must be between 68 and 65535",
            );
        }
        self.check_limiters(place, breaches);
    }

    /// Whether the device is made for the VM.
    pub(crate) const fn is_managed(&self) -> bool {
        self.host_dev_name.is_none()
    }

    fn check_managed(&self, place: &str, breaches: &mut Breaches) {
        if let Some(address) = &self.ip_address {
            breaches.require(
                address.parse::<Ipv4Addr>().is_ok(),
                format!("{place}.ipAddress"),
                "must be an IPv4 address",
            );
        }
        if let Some(Err(error)) = self.firewall.as_ref().map(FirewallConfig::to_policy) {
            for breach in error.breaches() {
                let (path, rule) = breach.split_once(' ').unwrap_or((breach, "is invalid"));
                breaches.add(format!("{place}.{path}"), rule.to_owned());
            }
        }
        for (index, port) in self.published_ports.iter().enumerate() {
            if let Err(error) = port.parse::<PublishedPort>() {
                breaches.add(
                    format!("{place}.publishedPorts[{index}]"),
                    format!("is refused: {error}"),
                );
            }
        }
    }

    fn check_limiters(&self, place: &str, breaches: &mut Breaches) {
        for (key, limiter) in
            [("rxRateLimiter", &self.rx_rate_limiter), ("txRateLimiter", &self.tx_rate_limiter)]
        {
            if let Some(limiter) = limiter {
                limiter.check(&format!("{place}.{key}"), breaches);
            }
        }
    }

    /// Firecracker's form, once the check found nothing.
    pub(crate) fn to_wire(&self) -> NetworkInterface {
        let limiter =
            |limiter: &Option<RateLimiterConfig>| limiter.as_ref().map(RateLimiterConfig::to_wire);
        NetworkInterface {
            iface_id: device_id::to_wire(&self.iface_id),
            host_dev_name: self.host_dev_name.clone().unwrap_or_default(),
            guest_mac: self.guest_mac.as_ref().map(|mac| {
                mac.to_lowercase().parse().expect("a checked hardware address can be read")
            }),
            mtu: self.mtu.map(|mtu| {
                let mtu = u16::try_from(mtu).ok().and_then(|mtu| Mtu::try_from(mtu).ok());
                mtu.expect("a checked MTU is between 68 and 65535")
            }),
            rx_rate_limiter: limiter(&self.rx_rate_limiter),
            tx_rate_limiter: limiter(&self.tx_rate_limiter),
        }
    }
}

/// Checks all of a VM's devices, and that no two are the same one.
pub(super) fn check_all(interfaces: &[NetworkInterfaceConfig], breaches: &mut Breaches) {
    let place = |index: usize| format!("networkInterfaces[{index}]");
    for (index, interface) in interfaces.iter().enumerate() {
        interface.check(&place(index), breaches);
    }
    let all = || interfaces.iter().enumerate().map(|(index, it)| (place(index), it));
    let ids = all().map(|(at, it)| (format!("{at}.ifaceId"), it.iface_id.clone()));
    device_id::check_unique(ids, breaches);
    let taps = all().filter_map(|(at, it)| {
        it.host_dev_name.as_ref().map(|name| (format!("{at}.hostDevName"), name.clone()))
    });
    device_id::check_unique(taps, breaches);
    let macs = all().filter_map(|(at, it)| {
        it.guest_mac.as_ref().map(|mac| (format!("{at}.guestMac"), mac.to_lowercase()))
    });
    device_id::check_unique(macs, breaches);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_makes_the_check_panic(text in "\\PC{0,20}") {
            let config = NetworkInterfaceConfig {
                host_dev_name: Some(text.clone()),
                guest_mac: Some(text),
                ..NetworkInterfaceConfig::default()
            };
            config.check("networkInterfaces[0]", &mut Breaches::default());
        }
    }
}
