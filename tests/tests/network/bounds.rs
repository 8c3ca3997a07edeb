//! One guest takes its part of the host's tables, and leaves the rest to others.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use smartvm_network::policy::GuestBounds;
use smartvm_network::{Network, NetworkReport, PolicyReport, names};
use smartvm_testkit::NetNamespace;

use super::frames::{frame, udp};
use super::world::{Guest, INTERNET, Server, World};

fn bounds(connections: u32, new: u32) -> GuestBounds {
    let text = format!(r#"{{"connections":{connections},"newConnectionsPerSecond":{new}}}"#);
    serde_json::from_str(&text).unwrap()
}

/// Sends the first packet of the connection with a number.
fn begin(network: &Network, guest: &Guest, to: Ipv4Addr, number: u32) {
    let ports = (
        u16::try_from(1024 + number % 50_000).unwrap(),
        u16::try_from(2000 + number / 50_000).unwrap(),
    );
    let (bridge, mac) = (names::bridge_mac(network.name()), guest.attachment.mac);
    let packet = udp(guest.address(), to, ports);
    guest.inside.send_frame(&frame(bridge.octets(), mac.octets(), 0x0800, &packet));
}

/// How many connections the host remembers.
fn tracked(host: &NetNamespace) -> u32 {
    let count = host.command("cat /proc/sys/net/netfilter/nf_conntrack_count");
    count.trim().parse().unwrap()
}

fn policies(world: &World, guest: &Guest) -> PolicyReport {
    world.host.run(|| {
        let reports = NetworkReport::all(&world.options.state_dir).unwrap();
        let of = reports[0].guests.iter().find(|it| it.tap == guest.attachment.tap).unwrap();
        reports[0].policies(of).unwrap()
    })
}

#[test]
fn a_flood_of_connections_fills_no_table_and_a_polite_neighbour_is_served_meanwhile() {
    let world = World::new();
    let network = world.open();
    let (rude, polite) = (
        world.attach(&network, &world.request("rude")),
        world.attach(&network, &world.request("polite")),
    );
    let _server = Server::new(&world.internet, 80);
    assert!(polite.tcp(INTERNET, 80));
    let (over, sent) = (AtomicBool::new(false), AtomicU32::new(0));
    let most = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                begin(&network, &rude, INTERNET, sent.fetch_add(1, Ordering::Relaxed));
            }
        });
        let mut most = 0;
        let mut asked = 0;
        // For as long as it takes to send more than the kernel would remember by itself for a while.
        while asked < 40 || sent.load(Ordering::Relaxed) < 20_000 {
            assert!(polite.tcp(INTERNET, 80), "request {asked} during the flood");
            most = most.max(tracked(&world.host));
            asked += 1;
        }
        over.store(true, Ordering::Relaxed);
        most
    });
    // What the first burst and each second of a minute, which no test takes, would allow.
    assert!(most < 8_000, "{most} connections of {}", sent.load(Ordering::Relaxed));
    let refused = policies(&world, &rude).bounds.refused_new;
    assert!(refused > 10_000, "{refused}");
    let status = world.host.run(|| NetworkReport::all(&world.options.state_dir).unwrap());
    assert!(
        status[0].refused.iter().any(|it| it.chain == "new_connections" && it.packets > 10_000)
    );
}

#[test]
fn a_guest_has_only_so_many_connections_open_and_may_open_more_when_they_end() {
    let mut world = World::new();
    world.options.bounds = bounds(30, 10_000);
    let network = world.open();
    let (one, two) = (
        world.attach(&network, &world.request("one")),
        world.attach(&network, &world.request("two")),
    );
    let _server = Server::new(&world.internet, 80);
    for number in 0..500 {
        begin(&network, &one, INTERNET, number);
    }
    let (refused, all) = (one.no_tcp(INTERNET, 80), tracked(&world.host));
    assert!(refused && (25..=35).contains(&all), "{all} connections");
    assert!(two.tcp(INTERNET, 80), "each has its own");
    let report = policies(&world, &one).bounds;
    assert_eq!(report.bounds, bounds(30, 10_000));
    assert!(report.refused_open >= 400 && report.refused_new == 0, "{report:?}");
    // Those that have ended are not counted: twice as many as may be open, one after another.
    for request in 0..60 {
        assert!(two.tcp(INTERNET, 80), "request {request}");
    }
}

#[test]
fn answers_and_packets_of_a_connection_that_exists_are_not_counted() {
    let mut world = World::new();
    world.options.bounds = bounds(4, 1);
    let network = world.open();
    let guest = world.attach(&network, &world.request("web"));
    let _server = Server::new(&guest.inside.namespace, 80);
    // A call by one guest, without an answer: that is one connection, however many packets it is.
    for _ in 0..500 {
        begin(&network, &guest, INTERNET, 7);
    }
    assert_eq!(policies(&world, &guest).bounds.refused_new, 0);
    // Nor are calls to it.
    for _ in 0..20 {
        assert!(super::world::tcp_from(&world.host, guest.address(), 80));
    }
    assert_eq!(policies(&world, &guest).bounds.refused_new, 0);
}

#[test]
fn a_guests_own_bounds_are_tighter_or_those_of_its_network() {
    let mut world = World::new();
    world.options.bounds = bounds(1000, 1000);
    let network = world.open();
    let attach = |vm: &str, own| {
        let mut request = world.request(vm);
        request.bounds = Some(own);
        world.attach(&network, &request)
    };
    let tight = attach("tight", bounds(5, 2000));
    let loose = attach("loose", bounds(5000, 5000));
    let usual = world.attach(&network, &world.request("usual"));
    assert_eq!(policies(&world, &tight).bounds.bounds, bounds(5, 1000));
    assert_eq!(policies(&world, &loose).bounds.bounds, bounds(1000, 1000));
    for number in 0..100 {
        for guest in [&tight, &usual] {
            begin(&network, guest, INTERNET, number);
        }
    }
    let refused = |guest| policies(&world, guest).bounds.refused_open;
    assert!(refused(&tight) >= 90 && refused(&usual) == 0);
    // The chains of the last guest with them go with it.
    let chains = || world.host.command("nft list ruleset").matches("chain open-1000-5 ").count();
    assert_eq!(chains(), 1);
    let tap = tight.attachment.tap.clone();
    drop(tight);
    world.host.run(|| network.detach(&tap).unwrap());
    assert_eq!(chains(), 0);
    let in_force =
        world.host.run(|| NetworkReport::all(&world.options.state_dir).unwrap()[0].rules_in_force);
    assert!(in_force);
    // Others use the network with these bounds.
    let other = smartvm_network::NetworkOptions { bounds: bounds(1, 1), ..world.options.clone() };
    let error = world.host.run(|| Network::open(&other).unwrap_err());
    assert!(error.code() == "NETWORK_DIFFERS" && error.to_string().contains("bounds"), "{error}");
}

#[test]
fn a_guest_that_calls_everybody_on_the_hosts_link_leaves_room_for_neighbours() {
    let world = World::new();
    // A wide network, in which nobody answers.
    world.host.ip("route add 45.0.0.0/16 dev uplink");
    let network = world.open();
    let guest = world.attach(&network, &world.request("web"));
    for number in 0..3000_u32 {
        let [_, _, a, b] = number.to_be_bytes();
        begin(&network, &guest, Ipv4Addr::new(45, 0, a, b), number);
    }
    let neighbours = world.host.ip("neigh show").lines().filter(|it| it.starts_with("45.")).count();
    // The kernel has room for 1,024, of which as many as are being looked for are kept.
    assert!(neighbours <= 700, "{neighbours}");
}
