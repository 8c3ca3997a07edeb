//! The host's neighbourhood.

use std::net::Ipv4Addr;

use smartvm_network::NetworkReport;
use smartvm_network::policy::{EgressPolicy, FirewallConfig, Isolation};

use super::world::{
    INTERNET, INTERNET_PRIVATE, LONG, METADATA, SHORT, Server, World, connect, talk,
};

const OTHER_PRIVATE: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 1);
const OPEN: Isolation =
    Isolation { vm_to_vm: false, lan: true, metadata: false, host_services: Vec::new() };

fn policy(rules: &str) -> EgressPolicy {
    FirewallConfig::from_json(&format!(r#"{{"egress":{rules}}}"#)).unwrap()
}

fn world() -> World {
    let world = World::new();
    world.host.ip(&format!("route add {OTHER_PRIVATE}/32 via {INTERNET}"));
    world.internet.ip(&format!("addr add {OTHER_PRIVATE}/32 dev lo"));
    world
}

#[test]
fn the_neighbourhood_is_open_only_to_whom_a_word_has_opened_it() {
    let world = world();
    let network = world.open();
    let _servers = [Server::new(&world.internet, 80), Server::new(&world.internet, 81)];
    let guest = world.attach(&network, &world.request("web"));
    let tap = guest.attachment.tap.clone();
    let named = r#"{"rules":[{"action":"allow","to":"10.0.0.0/8","protocol":"tcp","ports":80}]}"#;
    let web = r#"{"rules":[{"action":"allow","protocol":"tcp","ports":[80,81]},
                           {"action":"allow","to":"0.0.0.0/0"}]}"#;
    let denied = r#"{"rules":[{"action":"deny","to":"10.0.0.0/8"}]}"#;
    let (closed, open) = (Isolation::default(), OPEN);
    // What is opened, the network's firewall, the guest's own; and whether it reaches two private addresses, and two
    // ports of the first.
    for (isolation, networks, own, reaches) in [
        (&closed, "{}", None, [false, false, false]),
        (&open, "{}", None, [true, true, true]),
        (&open, "{}", Some("{}"), [true, true, true]),
        (&open, denied, None, [false, false, true]),
        (&closed, r#"{"defaultAction":"allow"}"#, None, [true, true, true]),
        (&closed, "{}", Some(r#"{"defaultAction":"allow"}"#), [true, true, true]),
        (&closed, named, None, [true, false, false]),
        (&closed, "{}", Some(named), [true, false, false]),
        (&closed, denied, Some(named), [false, false, false]),
        (&closed, named, Some(denied), [false, false, false]),
        // Who speaks of services, and not of where, does not speak of neighbours.
        (&closed, web, None, [false, false, false]),
        (&closed, web, Some(web), [false, false, false]),
    ] {
        world.host.run(|| {
            network.set_policy(isolation.clone(), policy(networks)).unwrap();
            network.set_guest_policy(&tap, own.map(policy)).unwrap();
        });
        let targets = [(INTERNET_PRIVATE, 80), (INTERNET_PRIVATE, 81), (OTHER_PRIVATE, 80)];
        for ((to, port), reaches) in targets.into_iter().zip(reaches) {
            let what = format!("{to}:{port} with {isolation:?}, {networks}, {own:?}");
            let reached = if reaches { guest.tcp(to, port) } else { !guest.no_tcp(to, port) };
            assert_eq!(reached, reaches, "{what}");
        }
        assert!(guest.tcp(INTERNET, 80), "{networks}, {own:?}");
    }
    // What was refused is counted, range by range.
    world.host.run(|| network.set_policy(closed, EgressPolicy::default()).unwrap());
    assert!(guest.no_tcp(OTHER_PRIVATE, 80));
    let report = world.host.run(|| NetworkReport::all(&world.options.state_dir).unwrap().remove(0));
    assert!(report.rules_in_force, "{:?}", report.rules_problem);
    let counted = report.refused.iter().find(|it| it.rule.contains("192.168.0.0/16")).unwrap();
    assert!(counted.packets > 0 && counted.rule.ends_with("counter } drop"), "{counted:?}");
}

#[test]
fn what_was_begun_in_the_neighbourhood_is_cut_when_it_is_closed() {
    let mut world = world();
    world.options.isolation = OPEN;
    let network = world.open();
    let _server = Server::new(&world.internet, 80);
    let guest = world.attach(&network, &world.request("web"));
    let mut streams = [INTERNET_PRIVATE, INTERNET].map(|to| connect(&guest, to, 80));
    assert!(streams.iter_mut().all(|stream| talk(stream, LONG)));
    let set = |isolation| {
        world.host.run(|| network.set_policy(isolation, EgressPolicy::default()).unwrap())
    };
    assert_eq!(set(Isolation::default()), 1);
    assert_eq!(streams.each_mut().map(|stream| talk(stream, SHORT)), [false, true]);
}

#[test]
fn names_are_asked_of_whom_the_guest_was_told_and_nothing_else_of_them() {
    let world = world();
    let network = world.open();
    let at = |address, port| Server::at(&world.internet, address, port);
    let _servers = [INTERNET_PRIVATE, METADATA, OTHER_PRIVATE].map(|it| [at(it, 53), at(it, 80)]);
    // A cloud's resolver is where its secrets are.
    let mut request = world.request("web");
    request.resolvers = [INTERNET_PRIVATE, METADATA].into();
    let guest = world.attach(&network, &request);
    for resolver in [INTERNET_PRIVATE, METADATA] {
        assert!(guest.tcp(resolver, 53) && guest.udp(resolver, 53), "{resolver}");
        assert!(guest.no_tcp(resolver, 80) && guest.no_udp(resolver, 80), "{resolver}");
        assert!(guest.no_ping(&resolver.to_string()), "{resolver}");
    }
    assert!(guest.no_tcp(OTHER_PRIVATE, 53) && guest.no_udp(OTHER_PRIVATE, 53));
    // Nobody else may, nor by another policy.
    let other = world.attach(&network, &world.request("other"));
    assert!(other.no_tcp(INTERNET_PRIVATE, 53) && other.no_udp(METADATA, 53));
    let deny = policy(r#"{"defaultAction":"deny"}"#);
    world.host.run(|| network.set_policy(Isolation::default(), deny).unwrap());
    assert!(guest.no_tcp(INTERNET_PRIVATE, 53));
}

#[test]
fn in_a_tunnel_there_are_no_neighbours_of_the_host() {
    let mut world = world();
    let tunnel = smartvm_testkit::NetNamespace::new();
    world.host.connect("wgx0", &tunnel, "tun0");
    world.host.ip("addr add 10.70.0.1/24 dev wgx0");
    tunnel.ip("addr add 10.70.0.2/24 dev tun0");
    tunnel.ip(&format!("addr add {INTERNET_PRIVATE}/32 dev lo"));
    let existing = r#"{"existingInterface":"wgx0"}"#;
    let options: smartvm_network::WireGuardOptions = serde_json::from_str(existing).unwrap();
    let spec = smartvm_network::WireGuardSpec::try_from(&options).unwrap();
    world.options.wireguard = Some(spec.into());
    let network = world.open();
    let _server = Server::new(&tunnel, 80);
    let guest = world.attach(&network, &world.request("web"));
    assert!(guest.tcp(INTERNET_PRIVATE, 80), "whose it is there is the tunnel's own affair");
    assert!(guest.no_tcp([10, 70, 0, 1].into(), 80), "the host's end is the host's");
}
