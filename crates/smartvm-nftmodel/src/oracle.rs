//! What should happen, without a look at a rule.

use std::net::Ipv4Addr;

use smartvm_network::policy::{Decision, Flow, FlowProtocol, GuestRules, PublishedPort, Transport};

use crate::{Arrival, Attempt, Content, Protocol, Scene, Target, Way};

/// Says where a packet is to arrive, by docs/SECURITY.md and the policies.
#[derive(Debug, Clone, Copy)]
pub struct Oracle<'a> {
    scene: &'a Scene,
}

/// An IPv4 packet.
#[derive(Clone, Copy)]
struct Ipv4 {
    destination: Ipv4Addr,
    protocol: Protocol,
}

impl<'a> Oracle<'a> {
    /// Of this scene.
    #[must_use]
    pub const fn new(scene: &'a Scene) -> Self {
        Self { scene }
    }

    /// Where an attempt is to arrive.
    #[must_use]
    pub fn arrival(&self, attempt: &Attempt) -> Arrival {
        match attempt.way {
            Way::Guest { guest, mac, to } => self.sent_by_guest(attempt, guest, mac, to),
            // Nothing of a link that is not where it should be, and nothing from others on the bridge.
            Way::Unbridged(_) | Way::HostByTap(_) | Way::Lan(_) => Arrival::Nowhere,
            Way::Beyond => self.sent_from_beyond(attempt),
            Way::Host => self.sent_by_host(attempt),
        }
    }

    fn sent_by_guest(&self, attempt: &Attempt, guest: usize, mac: [u8; 6], to: Target) -> Arrival {
        let own = &self.scene.guests[guest];
        let vms = self.scene.network.isolation.vm_to_vm;
        let genuine = match attempt.content {
            Content::Ipv4 { source, protocol, .. } => {
                // In whose name; and nobody else answers as a DHCP server.
                source == own.address && !matches!(protocol, Protocol::Udp(67, _))
            }
            Content::Arp { mac, address } => address == own.address && mac == own.mac.octets(),
            Content::Ipv6 { .. } | Content::Other(_) => false,
        };
        if !genuine || mac != own.mac.octets() {
            return Arrival::Nowhere;
        }
        match (to, attempt.content) {
            (Target::Guest(other), content) if vms && other != guest => {
                let passes = match content {
                    // By the addresses of guests, or to all of them.
                    Content::Ipv4 { destination: to, .. } if self.scene.bridge_calls_ip => {
                        self.scene.guest_of(to).is_some() || self.is_everybody(to)
                    }
                    _ => true,
                };
                // Without that, they are no connections of the host's.
                let counted = self.scene.bridge_calls_ip
                    && matches!(content, Content::Ipv4 { .. })
                    && attempt.over_bounds
                    && !attempt.established;
                let passes = passes && !counted;
                if passes { Arrival::Guest(other) } else { Arrival::Nowhere }
            }
            (Target::Guest(_) | Target::Lan, _) => Arrival::Nowhere,
            (Target::Host, Content::Ipv4 { destination, protocol, .. }) => {
                let packet = Ipv4 { destination, protocol };
                self.through_host(attempt, own, packet)
            }
            (Target::Host, _) => Arrival::Host,
        }
    }

    /// What a guest sends to the gateway's hardware address.
    fn through_host(&self, attempt: &Attempt, own: &GuestRules, packet: Ipv4) -> Arrival {
        let established = attempt.established;
        if attempt.over_bounds && !established {
            return Arrival::Nowhere;
        }
        let network = &self.scene.network;
        let isolation = &network.isolation;
        let to = packet.destination;
        let metadata = to == Ipv4Addr::new(169, 254, 169, 254) && isolation.metadata;
        // Whom it was told to ask for names, and that only.
        let dns = matches!(packet.protocol, Protocol::Tcp(_, 53) | Protocol::Udp(_, 53));
        let to_resolver = dns && own.resolvers.contains(&to);
        if to.is_loopback() || (to.is_link_local() && !metadata && !to_resolver) {
            return Arrival::Nowhere;
        }
        if self.scene.is_hosts(to) || self.is_everybody(to) {
            let (transport, port) = port_of(packet.protocol);
            let mut services = isolation.host_services.iter();
            let open = services.any(|it| Some(it.protocol) == transport && it.port == port);
            return match self.led(established, packet) {
                // Opened, it is led on as anybody's, and then to beyond the host.
                Some(led) if open => self.through_host(attempt, own, led),
                _ if established || open => Arrival::Host,
                _ => Arrival::Nowhere,
            };
        }
        if network.subnet.contains(to) {
            // Another guest, through the gateway. Nothing opens other links on the bridge.
            let other = self.scene.guest_of(to).filter(|_| isolation.vm_to_vm);
            return other.map_or(Arrival::Nowhere, Arrival::Guest);
        }
        let a_way = network.only_out_of.as_ref().is_none_or(|only| *only == self.scene.uplink);
        let flow = Flow { to, protocol: flow_protocol(packet.protocol) };
        let own = own.egress.as_ref().map_or(Decision::Allowed, |policy| policy.decide(flow).0);
        let both = [own, network.egress.decide(flow).0];
        // The host's neighbourhood, which is another in a tunnel.
        let near = network.neighbourhood.contains(to)
            && network.tunnel.as_ref() != Some(&self.scene.uplink);
        let unsaid = isolation.lan || metadata || to_resolver || !near;
        let allowed =
            !both.contains(&Decision::Denied) && (unsaid || both.contains(&Decision::Opened));
        if a_way && (established || allowed) {
            // What is established was hidden, or not, when it began.
            Arrival::Beyond { hidden: !established }
        } else {
            Arrival::Nowhere
        }
    }

    fn sent_from_beyond(&self, attempt: &Attempt) -> Arrival {
        match attempt.content {
            Content::Ipv4 { destination, protocol, .. } => {
                let packet = Ipv4 { destination, protocol };
                if self.led(attempt.established, packet).is_some() {
                    return Arrival::Beyond { hidden: false };
                }
                if let Some((guest, _)) = self.published(attempt, packet) {
                    return Arrival::Guest(guest);
                }
                if self.scene.is_hosts(destination) || self.is_everybody(destination) {
                    // Whether it answers is the host's own affair.
                    return Arrival::Host;
                }
                let Some(guest) = self.scene.guest_of(destination) else {
                    return self.not_a_guest(attempt, destination);
                };
                // A port that was published, to which another has led it before us.
                let led = attempt.destination_changed && self.is_open(guest, protocol);
                if attempt.established || led { Arrival::Guest(guest) } else { Arrival::Nowhere }
            }
            Content::Ipv6 { destination, .. } => match destination {
                Scene::HOST_IPV6 => Arrival::Host,
                it if it.segments()[0] == Scene::HOST_IPV6.segments()[0] => Arrival::Nowhere,
                _ => Arrival::Beyond { hidden: false },
            },
            // Not by way of the host.
            Content::Arp { .. } | Content::Other(_) => Arrival::Host,
        }
    }

    /// From beyond to who is no guest.
    fn not_a_guest(&self, attempt: &Attempt, destination: Ipv4Addr) -> Arrival {
        if !self.scene.network.subnet.contains(destination) {
            // The host is a router for others only if it was one without us; what another program led
            // elsewhere passes.
            let others = !self.scene.forwards_for_us || attempt.destination_changed;
            let passes = others || attempt.established;
            return if passes { Arrival::Beyond { hidden: false } } else { Arrival::Nowhere };
        }
        if attempt.established { Arrival::Lan } else { Arrival::Nowhere }
    }

    fn sent_by_host(&self, attempt: &Attempt) -> Arrival {
        match attempt.content {
            Content::Ipv4 { destination, protocol, .. } => {
                let packet = Ipv4 { destination, protocol };
                let own = destination.is_loopback();
                if let Some((guest, _)) = self.published(attempt, packet).filter(|_| !own) {
                    return Arrival::Guest(guest);
                }
                if self.scene.is_hosts(destination) {
                    return Arrival::Host;
                }
                let elsewhere = if self.scene.network.subnet.contains(destination) {
                    Arrival::Lan
                } else {
                    Arrival::Beyond { hidden: false }
                };
                self.scene.guest_of(destination).map_or(elsewhere, Arrival::Guest)
            }
            // Nothing but IPv4, and the ARP that it needs.
            Content::Ipv6 { destination, .. } => match self.scene.guest_of_ipv6(destination) {
                Some(_) => Arrival::Nowhere,
                None if destination == Scene::HOST_IPV6 => Arrival::Host,
                None => Arrival::Beyond { hidden: false },
            },
            Content::Arp { .. } => Arrival::Guest(0),
            Content::Other(_) => Arrival::Nowhere,
        }
    }

    /// The guest that a new connection to the host is led to.
    fn published(&self, attempt: &Attempt, packet: Ipv4) -> Option<(usize, PublishedPort)> {
        if attempt.established || !self.scene.is_hosts(packet.destination) {
            return None;
        }
        let (transport, wanted) = port_of(packet.protocol);
        let is_it = |port: &&PublishedPort| {
            let here =
                port.host_address.is_unspecified() || port.host_address == packet.destination;
            here && Some(port.protocol) == transport && port.host_port == wanted
        };
        let mut guests = self.scene.guests.iter().enumerate();
        guests.find_map(|(index, guest)| Some((index, *guest.published.iter().find(is_it)?)))
    }

    /// Where another program leads a new connection to the host.
    fn led(&self, established: bool, packet: Ipv4) -> Option<Ipv4> {
        let (_, port) = port_of(packet.protocol);
        let to = self.scene.led_to(packet.destination, packet.protocol.number(), port);
        let (destination, port) = to.filter(|_| !established)?;
        let protocol = match packet.protocol {
            Protocol::Tcp(from, _) => Protocol::Tcp(from, port),
            Protocol::Udp(from, _) => Protocol::Udp(from, port),
            other => other,
        };
        Some(Ipv4 { destination, protocol })
    }

    fn is_everybody(&self, address: Ipv4Addr) -> bool {
        let everybody = self.scene.network.subnet.broadcast();
        address.is_broadcast() || address.is_multicast() || address == everybody
    }

    /// Whether a port of a guest is one that a published one leads to.
    fn is_open(&self, guest: usize, protocol: Protocol) -> bool {
        let (transport, wanted) = port_of(protocol);
        let mut ports = self.scene.guests[guest].published.iter();
        ports.any(|port| Some(port.protocol) == transport && port.guest_port == wanted)
    }
}

const fn port_of(protocol: Protocol) -> (Option<Transport>, u16) {
    match protocol {
        Protocol::Tcp(_, port) => (Some(Transport::Tcp), port),
        Protocol::Udp(_, port) => (Some(Transport::Udp), port),
        Protocol::Icmp | Protocol::Other(_) => (None, 0),
    }
}

const fn flow_protocol(protocol: Protocol) -> FlowProtocol {
    match protocol {
        Protocol::Tcp(_, port) => FlowProtocol::Tcp(port),
        Protocol::Udp(_, port) => FlowProtocol::Udp(port),
        Protocol::Icmp => FlowProtocol::Icmp,
        Protocol::Other(number) => FlowProtocol::Other(number),
    }
}
