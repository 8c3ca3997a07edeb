//! Policies of chance: what the rules do with packets is what the policy says.

use std::cell::Cell;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use smartvm_network::policy::{
    Action, Cidr, EgressPolicy, EgressRule, Flow, FlowProtocol, RuleProtocol,
};
use smartvm_testkit::NetNamespace;

use super::world::{Guest, World};

/// Few values, so that rules and packets often meet.
const ADDRESSES: [Ipv4Addr; 4] = [
    Ipv4Addr::new(10, 1, 0, 1),
    Ipv4Addr::new(10, 1, 0, 2),
    Ipv4Addr::new(10, 2, 0, 1),
    Ipv4Addr::new(192, 0, 2, 2),
];
const PORTS: [u16; 3] = [53, 80, 443];

fn rule() -> impl Strategy<Value = EgressRule> {
    let action = prop_oneof![Just(Action::Allow), Just(Action::Deny)];
    let prefix = prop_oneof![Just(0_u8), Just(8), Just(15), Just(16), Just(31), Just(32)];
    let range = (proptest::sample::select(&ADDRESSES[..]), prefix);
    let to = proptest::option::of(range.prop_map(|(address, prefix)| Cidr::new(address, prefix)));
    let ports = proptest::collection::btree_set(proptest::sample::select(&PORTS[..]), 0..3);
    let protocol = prop_oneof![
        Just(RuleProtocol::All),
        Just(RuleProtocol::Tcp),
        Just(RuleProtocol::Udp),
        Just(RuleProtocol::Icmp)
    ];
    (action, to, protocol, ports).prop_map(|(action, to, protocol, mut ports)| {
        if matches!(protocol, RuleProtocol::All | RuleProtocol::Icmp) {
            ports.clear();
        }
        EgressRule { action, to, protocol, ports, comment: None }
    })
}

fn policy() -> impl Strategy<Value = EgressPolicy> {
    let default_action = prop_oneof![Just(Action::Allow), Just(Action::Deny)];
    (default_action, proptest::collection::vec(rule(), 0..6))
        .prop_map(|(default_action, rules)| EgressPolicy { default_action, rules })
}

/// Sends a datagram to each address and port, and returns which arrived.
fn arrived(guest: &Guest, servers: &[(Ipv4Addr, u16, UdpSocket)], round: u32) -> Vec<bool> {
    let word = round.to_be_bytes();
    guest.inside.namespace.run(|| {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        for (address, port, _) in servers {
            socket.send_to(&word, (*address, *port)).unwrap();
        }
    });
    let heard = |server: &UdpSocket| {
        let mut bytes = [0; 4];
        loop {
            match server.recv(&mut bytes) {
                Ok(4) if bytes == word => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    };
    servers.iter().map(|(.., server)| heard(server)).collect()
}

fn servers(internet: &NetNamespace) -> Vec<(Ipv4Addr, u16, UdpSocket)> {
    let mut servers = Vec::new();
    for address in ADDRESSES {
        for port in PORTS {
            let server = internet.run(|| UdpSocket::bind((address, port)).unwrap());
            server.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
            servers.push((address, port, server));
        }
    }
    servers
}

#[test]
fn packets_go_where_the_policies_let_them() {
    let world = World::new();
    for address in &ADDRESSES[..3] {
        // The world has some of them already.
        let _ = world.internet.output(&format!("ip addr add {address}/32 dev lo"));
    }
    let network = world.open();
    let guest = world.attach(&network, &world.request("web"));
    let servers = servers(&world.internet);
    let rounds = Cell::new(0);
    let mut runner = TestRunner::new(Config { cases: 60, ..Config::default() });
    let policies = (policy(), proptest::option::of(policy()));
    let outcome = runner.run(&policies, |(of_network, own)| {
        let round = rounds.get() + 1;
        rounds.set(round);
        world.host.run(|| {
            network.set_policy(Default::default(), of_network.clone()).unwrap();
            network.set_guest_policy(&guest.attachment.tap, own.clone()).unwrap();
        });
        let arrived = arrived(&guest, &servers, round);
        for ((to, port, _), arrived) in servers.iter().zip(arrived) {
            let flow = Flow { to: *to, protocol: FlowProtocol::Udp(*port) };
            let allowed =
                of_network.allows(flow) && own.as_ref().is_none_or(|policy| policy.allows(flow));
            prop_assert_eq!(arrived, allowed, "{}:{}", to, port);
        }
        Ok(())
    });
    outcome.unwrap();
}
