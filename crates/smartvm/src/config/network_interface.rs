//! A network device of the guest.

use serde::{Deserialize, Serialize};

use smartvm_firecracker::api::{MacAddress, Mtu, NetworkInterface};

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
    /// The TAP device, which exists already and which no other VM uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_dev_name: Option<String>,
    /// The guest's hardware address, such as `06:00:ac:10:00:02`; absent, the guest chooses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_mac: Option<String>,
    /// The largest packet that the guest is told to send, 68 to 65535 bytes. Since Firecracker 1.16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
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
        let host_dev_name = format!("{place}.hostDevName");
        match &self.host_dev_name {
            None => breaches.add(host_dev_name, "must name an existing TAP device"),
            Some(name) => breaches.require(
                is_interface_name(name),
                host_dev_name,
                "must be 1 to 15 letters, digits, `_`, `.`, `:` or `-`, the first a letter or digit",
            ),
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

/// Whether the host can have an interface of that name: `IFNAMSIZ` is 16 with its final zero.
fn is_interface_name(name: &str) -> bool {
    (1..=15).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-'))
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

    #[test]
    fn interface_names_are_those_that_the_kernel_and_a_command_line_take() {
        for name in ["tap0", "a", "svtap-web_1.0:2", "0tap", "fifteen-letters"] {
            assert!(is_interface_name(name), "{name}");
        }
        for name in ["", "sixteen--letters", "-tap", ".", "..", "a/b", "a b", "é", "tap\n"] {
            assert!(!is_interface_name(name), "{name}");
        }
    }
}
