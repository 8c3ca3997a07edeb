//! The way of a packet through the kernel.

use std::net::Ipv4Addr;
use std::ops::RangeBounds;

use smartvm_network::nft::{Family, Hook, Ruleset};
use smartvm_network::policy::NetworkRules;

use crate::{Arrival, Attempt, Content, Dropped, Link, Machine, Packet, Scene, Target, Way};

/// `NF_IP_PRI_NAT_DST`.
const DESTINATION_NAT: i32 = -100;

/// Leads packets through the hooks that the kernel has on their way, and asks the rules at each.
///
/// It forwards everything, IPv6 as well. Nothing but the rules closes anything here: the isolation of
/// bridge ports is left out.
#[derive(Debug, Clone, Copy)]
pub struct Host<'a> {
    scene: &'a Scene,
    machine: Machine<'a>,
}

/// Where a routing table sends a packet.
enum Route {
    /// To the host.
    Host,
    /// Out by the bridge.
    Bridge,
    /// Out by the uplink.
    Uplink,
}

impl<'a> Host<'a> {
    /// A host with these rules, which need not be those of the scene.
    #[must_use]
    pub const fn new(scene: &'a Scene, ruleset: &'a Ruleset) -> Self {
        Self { scene, machine: Machine::new(ruleset) }
    }

    /// Where an attempt ends up.
    #[must_use]
    pub fn arrival(&self, attempt: &Attempt) -> Arrival {
        self.lead(attempt).unwrap_or(Arrival::Nowhere)
    }

    /// Where an attempt ends up.
    ///
    /// # Errors
    /// The rule that dropped it.
    pub fn lead(&self, attempt: &Attempt) -> Result<Arrival, Dropped> {
        let mut packet = Packet {
            frame: attempt.frame(self.scene),
            link_in: None,
            link_out: None,
            established: attempt.established,
            destination_changed: attempt.destination_changed,
            over_bounds: attempt.over_bounds,
            to_host: false,
            masqueraded: false,
        };
        match attempt.way {
            Way::Guest { guest, to, .. } => self.bridged(self.scene.tap(guest), to, packet),
            Way::Lan(guest) => self.bridged(Link::plain(Scene::LAN), Target::Guest(guest), packet),
            Way::Unbridged(guest) => self.routed_in(self.scene.tap(guest), packet),
            Way::Beyond => self.routed_in(self.uplink(), packet),
            Way::Host => match attempt.content {
                // Not by way of IP: straight to the bridge.
                Content::Arp { .. } | Content::Other(_) => self.out_of_bridge(packet),
                _ => self.sent(packet),
            },
            Way::HostByTap(guest) => {
                packet.link_out = Some(self.scene.tap(guest));
                self.pass(Family::Inet, Hook::Output, &mut packet)?;
                self.pass(Family::Inet, Hook::Postrouting, &mut packet)?;
                Ok(Arrival::Guest(guest))
            }
        }
    }

    /// A frame that comes in by a port of the bridge.
    fn bridged(&self, from: Link, to: Target, mut packet: Packet) -> Result<Arrival, Dropped> {
        packet.link_in = Some(from.clone());
        self.pass(Family::Bridge, Hook::Prerouting, &mut packet)?;
        let is_ip = matches!(packet.ether_type(), Packet::IPV4 | Packet::IPV6);
        let calls_ip = is_ip && self.scene.bridge_calls_ip;
        let (port, arrival) = match to {
            Target::Guest(guest) => (self.scene.tap(guest), Arrival::Guest(guest)),
            Target::Lan => (Link::plain(Scene::LAN), Arrival::Lan),
            Target::Host => {
                self.pass(Family::Bridge, Hook::Input, &mut packet)?;
                return if is_ip {
                    // Once, whether by the bridge or not.
                    self.routed_in(self.bridge(), packet)
                } else {
                    Ok(Arrival::Host)
                };
            }
        };
        if calls_ip {
            packet.link_in = Some(self.bridge());
            self.pass(Family::Inet, Hook::Prerouting, &mut packet)?;
        }
        // A bridge sends nothing back by the port that it came in by.
        if from == port {
            return Ok(Arrival::Nowhere);
        }
        (packet.link_in, packet.link_out) = (Some(from), Some(port));
        self.pass(Family::Bridge, Hook::Forward, &mut packet)?;
        if calls_ip {
            (packet.link_in, packet.link_out) = (Some(self.bridge()), Some(self.bridge()));
            self.pass(Family::Inet, Hook::Forward, &mut packet)?;
            self.pass(Family::Inet, Hook::Postrouting, &mut packet)?;
        }
        Ok(arrival)
    }

    /// An IP packet that comes in by a link.
    fn routed_in(&self, from: Link, mut packet: Packet) -> Result<Arrival, Dropped> {
        packet.link_in = Some(from);
        let (before, nat) = (..DESTINATION_NAT, DESTINATION_NAT..);
        self.pass_part(Family::Inet, Hook::Prerouting, before, &mut packet)?;
        self.lead_elsewhere(&mut packet);
        self.pass_part(Family::Inet, Hook::Prerouting, nat, &mut packet)?;
        let route = self.route(&packet);
        if let Route::Host = route {
            self.pass(Family::Inet, Hook::Input, &mut packet)?;
            return Ok(Arrival::Host);
        }
        packet.link_out = Some(self.link(&route));
        self.pass(Family::Inet, Hook::Forward, &mut packet)?;
        self.leave(route, packet)
    }

    /// An IP packet of the host itself.
    fn sent(&self, mut packet: Packet) -> Result<Arrival, Dropped> {
        let first = self.route(&packet);
        packet.link_out = Some(match first {
            Route::Host => Link::plain("lo"),
            _ => self.link(&first),
        });
        self.pass(Family::Inet, Hook::Output, &mut packet)?;
        // Its destination may be another now.
        let route = self.route(&packet);
        if let Route::Host = route {
            return Ok(Arrival::Host);
        }
        packet.link_out = Some(self.link(&route));
        self.leave(route, packet)
    }

    fn leave(&self, route: Route, mut packet: Packet) -> Result<Arrival, Dropped> {
        self.pass(Family::Inet, Hook::Postrouting, &mut packet)?;
        match route {
            Route::Bridge => self.out_of_bridge(packet),
            _ => Ok(Arrival::Beyond { hidden: packet.masqueraded }),
        }
    }

    /// What the host sends by the bridge.
    fn out_of_bridge(&self, mut packet: Packet) -> Result<Arrival, Dropped> {
        let guest = match (packet.destination(), packet.destination_ipv6()) {
            (Some(address), _) => self.scene.guest_of(address),
            (_, Some(address)) => self.scene.guest_of_ipv6(address),
            // ARP and others are sent to the first.
            (None, None) => Some(0),
        };
        let (port, arrival) = match guest {
            Some(guest) => (self.scene.tap(guest), Arrival::Guest(guest)),
            None => (Link::plain(Scene::LAN), Arrival::Lan),
        };
        packet.link_in = None;
        packet.link_out = Some(port);
        self.pass(Family::Bridge, Hook::Output, &mut packet)?;
        self.pass(Family::Bridge, Hook::Postrouting, &mut packet)?;
        Ok(arrival)
    }

    /// What another program does before our rules lead packets elsewhere.
    fn lead_elsewhere(&self, packet: &mut Packet) {
        let (Some(destination), Some(number)) = (packet.destination(), packet.protocol()) else {
            return;
        };
        let port = packet.transport(2, 2).map_or(0, |it| u16::from_be_bytes([it[0], it[1]]));
        if let Some((address, port)) = self.scene.led_to(destination, number, port)
            && !packet.established
        {
            packet.redirect(address.octets(), port.to_be_bytes());
        }
    }

    fn pass(&self, family: Family, hook: Hook, packet: &mut Packet) -> Result<(), Dropped> {
        self.pass_part(family, hook, .., packet)
    }

    fn pass_part(
        &self,
        family: Family,
        hook: Hook,
        priorities: impl RangeBounds<i32>,
        packet: &mut Packet,
    ) -> Result<(), Dropped> {
        packet.to_host = packet.destination().is_some_and(|it| self.scene.is_hosts(it));
        self.machine.pass_part(family, hook, priorities, packet)
    }

    fn route(&self, packet: &Packet) -> Route {
        if let Some(address) = packet.destination() {
            return self.route_ipv4(address);
        }
        match packet.destination_ipv6() {
            Some(Scene::HOST_IPV6) => Route::Host,
            Some(address) if address.segments()[0] == Scene::HOST_IPV6.segments()[0] => {
                Route::Bridge
            }
            _ => Route::Uplink,
        }
    }

    fn route_ipv4(&self, address: Ipv4Addr) -> Route {
        let NetworkRules { subnet, .. } = self.scene.network;
        let everybody = address.is_broadcast() || address.is_multicast();
        if self.scene.is_hosts(address) || everybody || address == subnet.broadcast() {
            Route::Host
        } else if subnet.contains(address) {
            Route::Bridge
        } else {
            Route::Uplink
        }
    }

    fn link(&self, route: &Route) -> Link {
        match route {
            Route::Bridge => self.bridge(),
            Route::Host | Route::Uplink => self.uplink(),
        }
    }

    fn bridge(&self) -> Link {
        Link::plain(self.scene.network.network.as_str())
    }

    fn uplink(&self) -> Link {
        Link::plain(self.scene.uplink.as_str())
    }
}
