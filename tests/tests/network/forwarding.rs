//! The host forwards for guests, and for nobody else.

use std::net::Ipv4Addr;

use smartvm_network::{Network, NetworkReport};
use smartvm_testkit::NetNamespace;

use super::lifecycle::host_of;
use super::world::{HOST, INTERNET, Server, World, no_tcp_from, tcp_from};

/// A machine behind another link of the host.
const OTHER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const PORT: u16 = 80;

/// A host between the internet and another network, each of which knows the way to the other.
struct Stage {
    world: World,
    other: NetNamespace,
    _servers: Vec<Server>,
}

impl Stage {
    fn new() -> Self {
        let (mut world, other) = (World::new(), NetNamespace::new());
        // The other network is one of the host's.
        world.options.isolation.lan = true;
        world.host.connect("other0", &other, "net1");
        world.host.ip("addr add 198.51.100.1/24 dev other0");
        other.ip(&format!("addr add {OTHER}/24 dev net1"));
        other.ip("route add default via 198.51.100.1");
        world.internet.ip(&format!("route add 198.51.100.0/24 via {HOST}"));
        let servers = vec![Server::new(&other, PORT), Server::new(&world.internet, PORT)];
        Self { world, other, _servers: servers }
    }

    fn setting(&self, name: &str) -> String {
        self.world.host.command(&format!("sysctl -n net.ipv4.{name}")).trim().to_owned()
    }

    fn forwards(&self, from: &NetNamespace, to: Ipv4Addr) -> bool {
        tcp_from(from, to, PORT)
    }

    #[track_caller]
    fn assert_no_router(&self, when: &str) {
        assert!(no_tcp_from(&self.world.internet, OTHER, PORT), "{when}: to the other network");
        assert!(no_tcp_from(&self.other, INTERNET, PORT), "{when}: from the other network");
    }
}

#[test]
fn a_host_that_forwards_for_guests_is_no_router_for_others() {
    let stage = Stage::new();
    stage.assert_no_router("before");
    let network = stage.world.open();
    let guest = stage.world.attach(&network, &stage.world.request("web"));
    // By each link, there and back.
    assert!(guest.tcp(INTERNET, PORT) && guest.tcp(OTHER, PORT));
    stage.assert_no_router("with a guest");
    assert_eq!(stage.setting("ip_forward"), "0", "it is not turned on for all");
    // Each network is one of ours, and no other link is.
    let mut options = stage.world.options.clone();
    (options.bridge, options.subnet) = ("svbr1".parse().unwrap(), "172.31.0.0/24".parse().unwrap());
    let second = stage.world.host.run(|| Network::open(&options).unwrap());
    let there = stage.world.host.run(|| second.attach(&stage.world.request("there")).unwrap());
    let there = stage.world.guest(there);
    assert!(there.tcp(INTERNET, PORT) && guest.tcp(INTERNET, PORT));
    stage.assert_no_router("with two networks");
    assert!(there.no_tcp(guest.address(), PORT));
}

#[test]
fn all_that_was_set_is_as_it_was_after_the_last_vm() {
    for redirects in ["0", "1"] {
        let stage = Stage::new();
        let host = &stage.world.host;
        // As a careful administrator has it, and as the kernel does.
        host.command(&format!("sysctl -q net.ipv4.conf.all.accept_redirects={redirects}"));
        host.command("sysctl -q net.ipv4.conf.other0.forwarding=1");
        host.command("sysctl -q net.ipv4.conf.uplink.accept_redirects=1");
        let before = host_of(&stage.world);
        let network = stage.world.open();
        assert_eq!(stage.setting("conf.uplink.forwarding"), "1");
        assert_eq!(stage.setting("conf.all.accept_redirects"), redirects);
        let guest = stage.world.host.run(|| network.attach(&stage.world.request("web")).unwrap());
        host.run(|| network.detach(&guest.tap).unwrap());
        assert!(host.run(|| network.close().unwrap()));
        assert_eq!(host_of(&stage.world), before);
    }
}

#[test]
fn a_link_that_two_networks_need_is_as_it_was_after_the_second() {
    let stage = Stage::new();
    let before = host_of(&stage.world);
    let first = stage.world.open();
    let mut options = stage.world.options.clone();
    (options.bridge, options.subnet) = ("svbr1".parse().unwrap(), "172.31.0.0/24".parse().unwrap());
    let second = stage.world.host.run(|| Network::open(&options).unwrap());
    assert!(stage.world.host.run(|| first.close().unwrap()));
    assert_eq!(stage.setting("conf.uplink.forwarding"), "1");
    // A link that is renamed is found again.
    stage.world.host.ip("link set uplink down");
    stage.world.host.ip("link set uplink name renamed0");
    assert!(stage.world.host.run(|| second.close().unwrap()));
    assert_eq!(stage.setting("conf.renamed0.forwarding"), "0");
    stage.world.host.ip("link set renamed0 name uplink");
    stage.world.host.ip("link set uplink up");
    stage.world.host.ip(&format!("route add {INTERNET}/32 dev uplink src {HOST}"));
    stage.world.host.ip(&format!("route add default via {INTERNET}"));
    stage.world.host.ip(&format!("route add 169.254.169.254/32 via {INTERNET}"));
    assert_eq!(host_of(&stage.world), before);
}

#[test]
fn a_program_that_makes_the_host_a_router_meanwhile_is_respected() {
    let stage = Stage::new();
    let network = stage.world.open();
    stage.assert_no_router("before");
    // As Docker does when it starts: with a link of its own, whose packets leave under the host's name.
    let late = NetNamespace::new();
    stage.world.host.connect("late0", &late, "net2");
    stage.world.host.ip("addr add 198.51.101.1/24 dev late0");
    late.ip("addr add 198.51.101.2/24 dev net2");
    late.ip("route add default via 198.51.101.1");
    stage.world.internet.ip(&format!("route add 198.51.101.0/24 via {HOST}"));
    stage.world.host.command("sysctl -q net.ipv4.ip_forward=1");
    assert!(stage.forwards(&late, INTERNET), "answers are let through at once");
    // What begins elsewhere is, once we have looked.
    let guest = stage.world.attach(&stage.world.open(), &stage.world.request("web"));
    assert!(guest.tcp(INTERNET, PORT) && stage.forwards(&stage.world.internet, OTHER));
    let tap = guest.attachment.tap.clone();
    drop(guest);
    stage.world.host.run(|| network.detach(&tap).unwrap());
    let all = || {
        stage.world.host.command("grep -rs . /proc/sys/net/ipv4/conf/uplink /proc/sys/net/ipv4/conf/other0 /proc/sys/net/ipv4/conf/all")
    };
    let before = all();
    assert!(stage.world.host.run(|| network.close().unwrap()));
    assert_eq!(all(), before, "it stays a router");
    assert!(stage.forwards(&stage.world.internet, OTHER));
    assert_eq!(stage.world.host.command("nft list ruleset"), "");
}

#[test]
fn what_another_program_led_elsewhere_passes_a_link_that_we_turned_on() {
    let stage = Stage::new();
    let _network = stage.world.open();
    // A port that another program publishes, as container engines do, and forwards by a link of its own.
    let host = &stage.world.host;
    host.command("sysctl -q net.ipv4.conf.other0.forwarding=1");
    for line in [
        "nft add table ip docker",
        "nft add chain ip docker pre { type nat hook prerouting priority dstnat ; }",
        "nft add rule ip docker pre tcp dport 8080 dnat to 198.51.100.2:80",
    ] {
        host.command(line);
    }
    assert!(tcp_from(&stage.world.internet, HOST, 8080));
    assert!(no_tcp_from(&stage.world.internet, OTHER, PORT), "but nothing else");
}

#[test]
fn a_host_that_forwards_already_is_left_alone() {
    let stage = Stage::new();
    stage.world.host.command("sysctl -q net.ipv4.ip_forward=1");
    stage.world.host.command("sysctl -q net.ipv4.conf.other0.forwarding=0");
    let before = host_of(&stage.world);
    let network = stage.world.open();
    let guest = stage.world.attach(&network, &stage.world.request("web"));
    assert!(guest.tcp(INTERNET, PORT));
    assert_eq!(stage.setting("conf.other0.forwarding"), "0", "somebody wanted it so");
    assert!(!stage.world.host.command("nft list tables").contains("inet smartvm\n"));
    let tap = guest.attachment.tap.clone();
    drop(guest);
    stage.world.host.run(|| network.detach(&tap).unwrap());
    assert!(stage.world.host.run(|| network.close().unwrap()));
    assert_eq!(host_of(&stage.world), before);
}

#[test]
fn rules_that_close_it_for_others_are_told_missing_and_put_back() {
    let stage = Stage::new();
    let network = stage.world.open();
    let (host, dir) = (&stage.world.host, &stage.world.options.state_dir);
    let in_force = || host.run(|| NetworkReport::all(dir).unwrap()[0].rules_in_force);
    assert!(in_force());
    host.command("nft delete table inet smartvm");
    assert!(!in_force());
    assert!(host.run(|| Network::reload(dir, network.name()).unwrap()));
    assert!(in_force());
    stage.assert_no_router("after a reload");
    // The next guest puts back what was removed with all else.
    host.command("nft flush ruleset");
    host.run(|| network.attach(&stage.world.request("web")).unwrap());
    assert!(in_force());
}
