//! Ending connections that a guest may not begin any more.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::handle::Kernel;
use crate::conntrack::{Connection, Side};
use crate::netlink::NetlinkError;
use crate::policy::{Cidr, Decision, Flow, FlowProtocol, HostService, Neighbourhood, Transport};
use crate::state::{GuestRecord, NetworkRecord};

const LOOPBACK: Cidr = Cidr::new(Ipv4Addr::new(127, 0, 0, 0), 8);
const LINK_LOCAL: Cidr = Cidr::new(Ipv4Addr::new(169, 254, 0, 0), 16);
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// Says of connections that exist whether the rules would let them begin.
#[derive(Debug)]
pub(super) struct Judge<'a> {
    network: &'a NetworkRecord,
    /// The addresses that are the host's own now.
    host: BTreeSet<Ipv4Addr>,
    neighbourhood: Neighbourhood,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        network: &'a NetworkRecord,
        kernel: &mut Kernel,
    ) -> Result<Self, NetlinkError> {
        let host = kernel.links.all_addresses()?.into_iter().map(|(_, address, _)| address);
        let neighbourhood = Neighbourhood::new(kernel.links.networks()?);
        Ok(Self { network, host: host.collect(), neighbourhood })
    }

    /// Ends the connections that a guest has begun and may not begin any more: to the host, to other guests and
    /// to beyond the host. Returns how many.
    pub(super) fn cut(
        &self,
        guest: &GuestRecord,
        kernel: &mut Kernel,
    ) -> Result<usize, NetlinkError> {
        let keep = |connection| self.allows(guest, connection);
        kernel.connections()?.cut(guest.address, Side::From, keep)
    }

    fn allows(&self, guest: &GuestRecord, Connection { wanted, reached }: Connection) -> bool {
        // What was to the host, by its own words, stays so where another program has led it elsewhere.
        if self.is_hosts(wanted.to) && !self.is_service(wanted) {
            return false;
        }
        if self.is_hosts(reached.to) {
            return self.is_service(reached);
        }
        let isolation = &self.network.isolation;
        if self.network.subnet.contains(reached.to) || is_everybody(reached.to) {
            return isolation.vm_to_vm;
        }
        let metadata = isolation.metadata && reached.to == METADATA;
        let is_resolver = is_dns(reached) && guest.resolvers.contains(&reached.to);
        if LOOPBACK.contains(reached.to)
            || (LINK_LOCAL.contains(reached.to) && !metadata && !is_resolver)
        {
            return false;
        }
        let own = guest.egress.as_ref().map(|policy| policy.decide(reached).0);
        let both = [own.unwrap_or(Decision::Allowed), self.network.egress.decide(reached).0];
        if both.contains(&Decision::Denied) {
            return false;
        }
        // By which link it leaves is not known here, and what goes into a tunnel may be near the host by its address.
        let unsaid = isolation.lan || metadata || is_resolver || self.network.wireguard.is_some();
        unsaid || both.contains(&Decision::Opened) || !self.neighbourhood.contains(reached.to)
    }

    fn is_hosts(&self, address: Ipv4Addr) -> bool {
        address == self.network.subnet.gateway() || self.host.contains(&address)
    }

    fn is_service(&self, flow: Flow) -> bool {
        let (protocol, port) = match flow.protocol {
            FlowProtocol::Tcp(port) => (Transport::Tcp, port),
            FlowProtocol::Udp(port) => (Transport::Udp, port),
            FlowProtocol::Icmp | FlowProtocol::Other(_) => return false,
        };
        self.network.isolation.host_services.contains(&HostService { protocol, port })
    }
}

const fn is_dns(flow: Flow) -> bool {
    matches!(flow.protocol, FlowProtocol::Tcp(53) | FlowProtocol::Udp(53))
}

const fn is_everybody(address: Ipv4Addr) -> bool {
    address.is_broadcast() || address.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::NetworkOptions;
    use crate::policy::Isolation;

    fn guest() -> GuestRecord {
        GuestRecord {
            schema_version: 1,
            vm: "web".to_owned(),
            iface: "eth0".to_owned(),
            tap: "svtap2".parse().unwrap(),
            mac: "02:00:00:00:00:02".parse().unwrap(),
            address: [172, 30, 0, 2].into(),
            egress: None,
            published: Vec::new(),
            bounds: None,
            resolvers: [[10, 0, 0, 53].into(), [169, 254, 169, 253].into()].into(),
            owner: "/owner".into(),
            owner_process: None,
        }
    }

    #[test]
    fn a_connection_stays_only_where_it_could_begin() {
        let flow = |to: [u8; 4], port| Flow { to: to.into(), protocol: FlowProtocol::Tcp(port) };
        let plain = |to, port| Connection { wanted: flow(to, port), reached: flow(to, port) };
        let allows = |isolation: &Isolation, connection| {
            let options = NetworkOptions { isolation: isolation.clone(), ..Default::default() };
            let network = options.record(true);
            let host = [[192, 0, 2, 1].into(), [172, 30, 0, 1].into()].into();
            let neighbourhood = Neighbourhood::default();
            Judge { network: &network, host, neighbourhood }.allows(&guest(), connection)
        };
        let closed = Isolation::default();
        let open = Isolation {
            vm_to_vm: true,
            lan: true,
            metadata: true,
            host_services: vec![HostService { protocol: Transport::Tcp, port: 80 }],
        };
        for (to, port, by_default, when_open) in [
            ([192, 0, 2, 1], 80, false, true),
            ([172, 30, 0, 1], 80, false, true),
            ([172, 30, 0, 1], 81, false, false),
            ([172, 30, 0, 3], 80, false, true),
            ([224, 0, 0, 251], 80, false, true),
            ([169, 254, 169, 254], 80, false, true),
            ([169, 254, 1, 1], 80, false, false),
            ([127, 0, 0, 1], 80, false, false),
            ([198, 51, 100, 1], 81, true, true),
            ([10, 0, 0, 1], 53, false, true),
            ([10, 0, 0, 53], 53, true, true),
            ([10, 0, 0, 53], 80, false, true),
            ([169, 254, 169, 253], 53, true, true),
            ([169, 254, 169, 253], 80, false, false),
        ] {
            assert_eq!(allows(&closed, plain(to, port)), by_default, "{to:?}:{port}");
            assert_eq!(allows(&open, plain(to, port)), when_open, "{to:?}:{port}");
        }
        // Led elsewhere by another program: from the host's port, and to it.
        let led = |from, to| Connection { wanted: from, reached: to };
        let container = flow([198, 51, 100, 1], 80);
        assert!(!allows(&closed, led(flow([192, 0, 2, 1], 80), container)));
        assert!(!allows(&open, led(flow([192, 0, 2, 1], 8080), container)));
        assert!(allows(&open, led(flow([192, 0, 2, 1], 80), container)));
        assert!(!allows(&open, led(container, flow([192, 0, 2, 1], 6443))));
    }
}
