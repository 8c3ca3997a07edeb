//! Networks, guests and packets of chance.
//!
//! Few values, so that rules and packets often meet.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use smartvm_network::policy::{
    Action, Cidr, EgressPolicy, EgressRule, GuestBounds, GuestRules, HostService, Isolation,
    Neighbourhood, NetworkRules, PublishedPort, RuleProtocol, Transport,
};
use smartvm_network::{InterfaceName, MacAddress, Subnet};

use crate::{Attempt, Content, LedPort, Protocol, Scene, Target, Way};

/// Addresses beyond the host.
pub const BEYOND: [Ipv4Addr; 4] = [
    Ipv4Addr::new(10, 1, 0, 1),
    Ipv4Addr::new(10, 1, 0, 2),
    Ipv4Addr::new(10, 2, 0, 1),
    Ipv4Addr::new(192, 0, 2, 2),
];
/// Addresses of the host.
pub const HOST: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 11)];
/// Where a cloud tells its secrets.
pub const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// Ports that rules are about.
pub const PORTS: [u16; 3] = [53, 80, 443];
/// Ports of the host that are published.
pub const PUBLISHED: [u16; 2] = [8080, 5353];

/// Ports of the host that another program leads to beyond it.
pub const LED: [LedPort; 2] = [
    LedPort { protocol: Transport::Tcp, port: 8081, to: (BEYOND[0], 80) },
    LedPort { protocol: Transport::Udp, port: 53, to: (BEYOND[3], 443) },
];

/// Whom guests may be told to ask for names.
pub const RESOLVERS: [Ipv4Addr; 4] = [BEYOND[0], HOST[0], METADATA, Ipv4Addr::new(169, 254, 1, 1)];
/// Neighbours of the host that no rule is about.
pub const NEAR: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 64, 0, 1), Ipv4Addr::new(172, 16, 0, 1), Ipv4Addr::new(192, 168, 1, 1)];

/// A policy.
pub fn policy() -> impl Strategy<Value = EgressPolicy> {
    let default_action = select(&[None, Some(Action::Allow), Some(Action::Deny)][..]);
    (default_action, vec(rule(), 0..10))
        .prop_map(|(default_action, rules)| EgressPolicy { default_action, rules })
}

fn rule() -> impl Strategy<Value = EgressRule> {
    let action = select(&[Action::Allow, Action::Deny][..]);
    let prefix = select(&[0_u8, 1, 8, 15, 16, 24, 31, 32][..]);
    let address = prop_oneof![8 => select(&BEYOND[..]), 1 => Just(METADATA), 1 => any_address()];
    let to = (address, prefix).prop_map(|(address, prefix)| Cidr::new(address, prefix));
    let ports = btree_set(select(&PORTS[..]), 0..3);
    let protocol =
        select(&[RuleProtocol::All, RuleProtocol::Tcp, RuleProtocol::Udp, RuleProtocol::Icmp][..]);
    (action, option::of(to), protocol, ports).prop_map(|(action, to, protocol, mut ports)| {
        if matches!(protocol, RuleProtocol::All | RuleProtocol::Icmp) {
            ports.clear();
        }
        EgressRule { action, to, protocol, ports, comment: None }
    })
}

/// What is opened.
pub fn isolation() -> impl Strategy<Value = Isolation> {
    let service = (transport(), select(&PORTS[..]))
        .prop_map(|(protocol, port)| HostService { protocol, port });
    (any::<bool>(), any::<bool>(), any::<bool>(), vec(service, 0..3)).prop_map(
        |(vm_to_vm, lan, metadata, host_services)| Isolation {
            vm_to_vm,
            lan,
            metadata,
            host_services,
        },
    )
}

/// A network with one to three guests.
pub fn scene() -> impl Strategy<Value = Scene> {
    let only = select(&["uplink", "svwg0"][..]).prop_map(link);
    let links = (option::weighted(0.3, only.clone()), option::weighted(0.3, only));
    let network = (isolation(), policy(), links, neighbourhood());
    let resolvers = btree_set(select(&RESOLVERS[..]), 0..3);
    let few = NonZeroU32::new(9).expect("it is not zero");
    let own = GuestBounds { connections: few, ..GuestBounds::default() };
    let bounds = option::weighted(0.3, Just(own));
    let guest = (option::of(policy()), vec(published(), 0..3), resolvers, bounds);
    let led = subsequence(LED.to_vec(), 0..=LED.len());
    let scene = (network, vec(guest, 1..4), any::<bool>(), any::<bool>(), led);
    scene.prop_map(
        |(
            (isolation, egress, links, neighbourhood),
            guests,
            bridge_calls_ip,
            forwards_for_us,
            led,
        )| {
            let (network, subnet) = (InterfaceName::default_bridge(), Subnet::default());
            let mut taken: Vec<PublishedPort> = Vec::new();
            let guests =
                guests.into_iter().zip(2..).map(|((egress, ports, resolvers, bounds), number)| {
                    let mut published = Vec::new();
                    for port in ports {
                        // As the host does: one of them only.
                        if !taken.iter().any(|other| other.conflicts(&port)) {
                            taken.push(port);
                            published.push(port);
                        }
                    }
                    GuestRules {
                        tap: link(&format!("svtap{number}")),
                        mac: MacAddress::local([0, 0, 0, 0, number]),
                        address: Ipv4Addr::new(172, 30, 0, number),
                        egress,
                        published,
                        bounds,
                        resolvers,
                    }
                });
            let guests = guests.collect();
            let (only_out_of, tunnel) = links;
            let network = NetworkRules {
                network,
                subnet,
                isolation,
                egress,
                only_out_of,
                bounds: GuestBounds::default(),
                tunnel,
                neighbourhood,
            };
            let (uplink, host_addresses) = (link("uplink"), HOST.into());
            Scene { network, guests, uplink, host_addresses, bridge_calls_ip, forwards_for_us, led }
        },
    )
}

/// That of a host whose networks are private, or not.
fn neighbourhood() -> impl Strategy<Value = Neighbourhood> {
    select(vec![32_u8, 24]).prop_map(|prefix| Neighbourhood::new([Cidr::new(HOST[0], prefix)]))
}

fn published() -> impl Strategy<Value = PublishedPort> {
    let host_address = prop_oneof![Just(Ipv4Addr::UNSPECIFIED), select(&HOST[..])];
    let host_port = prop_oneof![select(&PUBLISHED[..]), select(&PORTS[..])];
    (host_address, host_port, select(&PORTS[..]), transport()).prop_map(
        |(host_address, host_port, guest_port, protocol)| PublishedPort {
            host_address,
            host_port,
            guest_port,
            protocol,
        },
    )
}

/// A packet that somebody of a scene tries to send.
pub fn attempt(scene: &Scene) -> impl Strategy<Value = Attempt> + use<> {
    let way = way(scene);
    let scene = scene.clone();
    way.prop_flat_map(move |way| {
        let content = content(way, &scene);
        let seldom = |chance| option::weighted(chance, Just(()));
        let state = (seldom(0.2), seldom(0.2), seldom(0.1));
        (content, state).prop_map(move |(content, (established, changed, over))| Attempt {
            way,
            content,
            established: established.is_some(),
            destination_changed: changed.is_some(),
            over_bounds: over.is_some(),
            mark: 0,
        })
    })
}

fn way(scene: &Scene) -> impl Strategy<Value = Way> + use<> {
    let count = scene.guests.len();
    let macs: Vec<_> = scene.guests.iter().map(|guest| guest.mac.octets()).collect();
    let target = prop_oneof![
        6 => Just(Target::Host),
        2 => (0..count).prop_map(Target::Guest),
        1 => Just(Target::Lan),
    ];
    let other = prop_oneof![select(macs.clone()), any::<[u8; 6]>()];
    let from_guest =
        (0..count, option::weighted(0.1, other), target).prop_map(move |(guest, other, to)| {
            Way::Guest { guest, mac: other.unwrap_or(macs[guest]), to }
        });
    prop_oneof![
        12 => from_guest,
        3 => Just(Way::Beyond),
        3 => Just(Way::Host),
        1 => (0..count).prop_map(Way::Unbridged),
        1 => (0..count).prop_map(Way::Lan),
        1 => (0..count).prop_map(Way::HostByTap),
    ]
}

fn content(way: Way, scene: &Scene) -> BoxedStrategy<Content> {
    let subnet = scene.network.subnet;
    let of_guests: Vec<_> = scene.guests.iter().map(|guest| guest.address).collect();
    let inside = vec![subnet.gateway(), subnet.broadcast(), Ipv4Addr::new(172, 30, 0, 200)];
    let own = match way {
        Way::Guest { guest, .. } | Way::Unbridged(guest) => scene.guests[guest].address,
        Way::Lan(_) => inside[2],
        Way::Beyond => BEYOND[3],
        Way::Host | Way::HostByTap(_) => HOST[0],
    };
    let anybody = prop_oneof![
        6 => select(&BEYOND[..]),
        2 => select(&NEAR[..]),
        3 => select(of_guests.clone()),
        3 => select(&HOST[..]),
        3 => select(inside),
        4 => select(vec![METADATA, Ipv4Addr::new(169, 254, 1, 1), Ipv4Addr::LOCALHOST]),
        1 => select(vec![Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 1)]),
        1 => any_address(),
    ];
    // A guest may say that it is another. Others are who they are.
    let lies = matches!(way, Way::Guest { .. });
    let source = option::weighted(0.1, anybody.clone())
        .prop_map(move |other| other.filter(|_| lies).unwrap_or(own));
    let host = matches!(way, Way::Host | Way::HostByTap(_));
    let ipv4 = (source, anybody, protocol())
        // What the host says to everybody is no matter of routes.
        .prop_filter("not to everybody", move |(_, to, _)| {
            !host || !(to.is_broadcast() || to.is_multicast() || *to == subnet.broadcast())
        })
        .prop_map(|(source, destination, protocol)| Content::Ipv4 {
            source,
            destination,
            protocol,
        });
    let v6 = (0..scene.guests.len()).prop_map(Scene::guest_ipv6);
    let beyond = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
    let v6 = prop_oneof![v6, Just(Scene::HOST_IPV6), Just(beyond)];
    let ipv6 =
        (v6.clone(), v6).prop_map(|(source, destination)| Content::Ipv6 { source, destination });
    // At other places the host hears and says ARP as it pleases: of that is no rule.
    if !matches!(way, Way::Guest { .. } | Way::Host | Way::Lan(_)) {
        return prop_oneof![9 => ipv4, 1 => ipv6].boxed();
    }
    let mac = match way {
        Way::Guest { guest, .. } => scene.guests[guest].mac.octets(),
        _ => [2, 0xaa, 0, 0, 0, 1],
    };
    let arp_mac = option::weighted(0.3, any::<[u8; 6]>()).prop_map(move |it| it.unwrap_or(mac));
    let arp_address =
        option::weighted(0.3, select(of_guests)).prop_map(move |it| it.unwrap_or(own));
    let arp = (arp_mac, arp_address).prop_map(|(mac, address)| Content::Arp { mac, address });
    // VLAN, spanning tree, nonsense.
    let other = select(vec![0x8100, 0x0027, 0x1234]).prop_map(Content::Other);
    prop_oneof![20 => ipv4, 2 => ipv6, 3 => arp, 1 => other].boxed()
}

fn protocol() -> impl Strategy<Value = Protocol> {
    let source = prop_oneof![9 => Just(40_000_u16), 1 => Just(67), 1 => select(&PORTS[..])];
    let destination = prop_oneof![
        8 => select(&PORTS[..]),
        2 => select(&PUBLISHED[..]),
        1 => Just(LED[0].port),
        1 => any::<u16>(),
    ];
    prop_oneof![
        4 => (source.clone(), destination.clone()).prop_map(|(from, to)| Protocol::Tcp(from, to)),
        4 => (source, destination).prop_map(|(from, to)| Protocol::Udp(from, to)),
        2 => Just(Protocol::Icmp),
        1 => select(vec![47_u8, 50, 132]).prop_map(Protocol::Other),
    ]
}

fn transport() -> impl Strategy<Value = Transport> + Clone {
    select(&[Transport::Tcp, Transport::Udp][..])
}

fn any_address() -> impl Strategy<Value = Ipv4Addr> + Clone {
    any::<u32>().prop_map(Ipv4Addr::from_bits)
}

fn link(name: &str) -> InterfaceName {
    name.parse().expect("it is short and plain")
}
