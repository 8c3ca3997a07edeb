//! A network with its guests, on a host.

use std::net::{Ipv4Addr, Ipv6Addr};

use smartvm_network::nft::Ruleset;
use smartvm_network::policy::{ForwardingRules, GuestRules, NetworkRules, Transport};
use smartvm_network::{InterfaceName, names};

use crate::Link;

/// A network with its guests, and what there is of the host around it.
///
/// The host is as open as it can be: it forwards IPv6 as well, and lets addresses of its loopback be
/// routed (`route_localnet`), so that nothing but the rules closes anything.
#[derive(Debug, Clone)]
pub struct Scene {
    /// The network.
    pub network: NetworkRules,
    /// Its guests.
    pub guests: Vec<GuestRules>,
    /// The link towards everything that is elsewhere.
    pub uplink: InterfaceName,
    /// The host's addresses besides the gateway's and loopback.
    pub host_addresses: Vec<Ipv4Addr>,
    /// Whether frames that pass the bridge are led through the rules for packets as well, as with the
    /// kernel's `net.bridge.bridge-nf-call-iptables`.
    pub bridge_calls_ip: bool,
    /// Whether the host forwards what comes in by the uplink for the network's sake only.
    pub forwards_for_us: bool,
    /// What another program does with ports of the host.
    pub led: Vec<LedPort>,
}

/// A port of the host that another program leads to beyond the host, as Docker and Kubernetes do: new
/// connections from elsewhere to any address of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedPort {
    /// TCP or UDP.
    pub protocol: Transport,
    /// The port.
    pub port: u16,
    /// Where it leads to.
    pub to: (Ipv4Addr, u16),
}

impl Scene {
    /// An IPv6 address of the host at the bridge.
    pub const HOST_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
    /// A link of others on the bridge.
    pub const LAN: &str = "lan0";

    /// The rules of it all.
    #[must_use]
    pub fn rules(&self) -> Ruleset {
        let mut rules = self.network.render(&self.guests);
        if self.forwards_for_us {
            let opened = [self.uplink.clone()].into();
            let networks = [self.network.network.clone()].into();
            rules.tables.extend(ForwardingRules { opened, networks }.render().tables);
        }
        rules
    }

    /// The TAP of a guest.
    #[must_use]
    pub fn tap(&self, guest: usize) -> Link {
        let name = self.guests[guest].tap.to_string();
        Link { name, group: names::link_group(&self.network.network) }
    }

    /// The IPv6 address of a guest, which nobody has given it.
    #[must_use]
    pub fn guest_ipv6(guest: usize) -> Ipv6Addr {
        let number = u16::try_from(guest).expect("there are few guests");
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x100 + number)
    }

    /// The guest that has an IPv6 address.
    #[must_use]
    pub fn guest_of_ipv6(&self, address: Ipv6Addr) -> Option<usize> {
        (0..self.guests.len()).find(|guest| Self::guest_ipv6(*guest) == address)
    }

    /// The guest that has an address.
    #[must_use]
    pub fn guest_of(&self, address: Ipv4Addr) -> Option<usize> {
        self.guests.iter().position(|guest| guest.address == address)
    }

    /// Where another program leads a new connection to the host.
    #[must_use]
    pub fn led_to(&self, destination: Ipv4Addr, number: u8, port: u16) -> Option<(Ipv4Addr, u16)> {
        let is_it = |led: &&LedPort| led.protocol.number() == number && led.port == port;
        let led = self.led.iter().find(is_it).filter(|_| self.is_hosts(destination));
        led.map(|led| led.to)
    }

    /// Whether an address is the host's own.
    #[must_use]
    pub fn is_hosts(&self, address: Ipv4Addr) -> bool {
        address.is_loopback()
            || address == self.network.subnet.gateway()
            || self.host_addresses.contains(&address)
    }
}
