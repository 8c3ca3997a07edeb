//! What others do to links, addresses and routes of a network is told, and mended.

use std::time::Duration;

use smartvm_network::{Network, NetworkDamage, NetworkReport};
use smartvm_testkit::{NetNamespace, eventually};

use super::lifecycle::host_of;
use super::world::{Guest, HOST, INTERNET, LONG, Server, World, no_tcp_from, tcp_from};

/// Within which a running owner mends.
const SOON: Duration = Duration::from_secs(1);

/// What another program does; `TAP` is the guest's link.
const DAMAGE: [&[&str]; 6] = [
    &["ip link set TAP nomaster"],
    &["ip link set TAP down"],
    &["ip addr flush dev svbr0"],
    &["ip link set svbr0 down"],
    &["ip link del svbr0"],
    // An exit node: all packets are for a table of its own.
    &[
        "ip route add default via 192.0.2.2 dev uplink onlink table 52",
        "ip rule add pref 5270 from all lookup 52",
    ],
];

fn damage(world: &World) -> Vec<NetworkDamage> {
    world.host.run(|| NetworkReport::all(&world.options.state_dir).unwrap().remove(0).damage)
}

fn harm(world: &World, guest: &Guest, what: &[&str]) {
    for line in what {
        world.host.command(&line.replace("TAP", guest.attachment.tap.as_str()));
    }
}

/// What another program would do at its end.
fn leave(world: &World, what: &[&str]) {
    if what == DAMAGE[5] {
        world.host.ip("rule del pref 5270");
        world.host.ip("route flush table 52");
    }
}

#[test]
fn damage_by_others_is_told_and_a_reload_or_the_next_start_mends_it() {
    for (number, what) in DAMAGE.into_iter().enumerate() {
        let world = World::new();
        let before = host_of(&world);
        let network = world.open();
        let _servers = [Server::new(&world.internet, 80), Server::new(&world.host, 80)];
        let [guest, other] = ["web", "other"].map(|vm| world.attach(&network, &world.request(vm)));
        let _inside = Server::new(&guest.inside.namespace, 80);
        assert!(guest.tcp(INTERNET, 80));
        assert_eq!(damage(&world), []);
        harm(&world, &guest, what);
        assert!(guest.no_tcp(INTERNET, 80), "{what:?}");
        let told = damage(&world);
        assert!(!told.is_empty(), "{what:?}");
        println!("{what:?}: {}", told.iter().map(ToString::to_string).collect::<String>());
        let mut second = None;
        if number % 2 == 0 {
            let dir = &world.options.state_dir;
            assert!(world.host.run(|| Network::reload(dir, network.name()).unwrap()));
        } else {
            second = Some(world.open());
        }
        assert_eq!(damage(&world), [], "{what:?}");
        assert!(guest.tcp(INTERNET, 80) && other.tcp(INTERNET, 80), "{what:?}");
        // As closed as it was, also past the rules of nftables.
        assert!(other.no_tcp(guest.address(), 80) && guest.no_tcp(HOST, 80), "{what:?}");
        let port = format!("bridge -d link show dev {}", guest.attachment.tap);
        let port = world.host.command(&port);
        assert!(port.contains("isolated on") && port.contains("learning off"), "{port}");
        for it in [guest, other] {
            let tap = it.attachment.tap.clone();
            drop(it);
            world.host.run(|| network.detach(&tap).unwrap());
        }
        leave(&world, what);
        if let Some(second) = second {
            assert!(!world.host.run(|| second.close().unwrap()));
        }
        assert!(world.host.run(|| network.close().unwrap()));
        assert_eq!(host_of(&world), before, "{what:?}");
    }
}

#[test]
fn a_running_owner_mends_damage_by_itself() {
    let mut world = World::new();
    world.options.watch = true;
    let before = host_of(&world);
    let network = world.open();
    let _server = Server::new(&world.internet, 80);
    let guest = world.attach(&network, &world.request("web"));
    for what in DAMAGE {
        assert!(guest.tcp(INTERNET, 80));
        harm(&world, &guest, what);
        eventually(SOON, &format!("{what:?} is mended"), || {
            damage(&world).is_empty().then_some(())
        });
        assert!(guest.tcp(INTERNET, 80), "{what:?}");
        leave(&world, what);
    }
    let tap = guest.attachment.tap.clone();
    drop(guest);
    world.host.run(|| network.detach(&tap).unwrap());
    assert!(world.host.run(|| network.close().unwrap()));
    assert_eq!(host_of(&world), before);
}

/// F6: what comes later is no open door, and no closed one.
#[test]
fn a_link_that_appears_while_vms_run_is_treated_as_those_before_at_once() {
    let mut world = World::new();
    world.options.watch = true;
    world.options.isolation.lan = true;
    let network = world.open();
    let guest = world.attach(&network, &world.request("web"));
    let late = NetNamespace::new();
    let _servers = [Server::new(&late, 80), Server::new(&world.internet, 80)];
    world.host.connect("late0", &late, "net1");
    world.host.ip("addr add 198.51.100.1/24 dev late0");
    late.ip("addr add 198.51.100.2/24 dev net1");
    late.ip("route add default via 198.51.100.1");
    let there = "198.51.100.2".parse().unwrap();
    let forwards = || world.host.command("sysctl -n net.ipv4.conf.late0.forwarding");
    eventually(SOON, "answers come in by the link", || (forwards().trim() == "1").then_some(()));
    eventually(LONG, "the guest reaches it", || guest.tcp(there, 80).then_some(()));
    // For guests, and for nobody else.
    world.internet.ip(&format!("route add 198.51.100.0/24 via {HOST}"));
    assert!(no_tcp_from(&world.internet, there, 80) && no_tcp_from(&late, INTERNET, 80));
    assert!(tcp_from(&world.host, there, 80));
    let tap = guest.attachment.tap.clone();
    drop(guest);
    world.host.run(|| network.detach(&tap).unwrap());
    assert!(world.host.run(|| network.close().unwrap()));
    assert_eq!(forwards().trim(), "0");
}
