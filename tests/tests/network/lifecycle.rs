//! Networks and interfaces come and go.

use std::thread;

use smartvm_network::{InterfaceName, Network, NetworkReport};

use super::world::{INTERNET, Server, World};

/// All settings of IPv4 that the kernel has for each link, and for all.
const SETTINGS: &str = "grep -rs . /proc/sys/net/ipv4/conf";

/// All that a network changes on its host.
pub(crate) fn host_of(world: &World) -> String {
    let mut state = Vec::new();
    // Names, as whether a link is up tells of its neighbours as well.
    let links = world.host.command("ip -o link");
    let links = links.lines().filter_map(|line| line.split_whitespace().nth(1)).collect::<Vec<_>>();
    state.push(links.join(" "));
    for line in [
        "ip rule",
        "ip -4 route show table all",
        "nft list ruleset",
        "sysctl net.ipv4.ip_forward",
        SETTINGS,
    ] {
        state.push(world.host.command(line));
    }
    state.join("\n")
}

pub(crate) fn state_files(world: &World) -> Vec<String> {
    let mut files = Vec::new();
    let mut dirs = vec![world.options.state_dir.clone()];
    while let Some(dir) = dirs.pop() {
        for entry in fs_err::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_type().unwrap().is_dir() {
                dirs.push(entry.path());
            } else {
                files.push(entry.path().display().to_string());
            }
        }
    }
    files
}

#[test]
fn a_network_is_gone_when_it_is_closed_and_the_host_is_as_it_was() {
    let world = World::new();
    let before = host_of(&world);
    let network = world.open();
    let guest = world.host.run(|| network.attach(&world.request("web")).unwrap());
    let found = world.host.command("ip -d link show svbr0");
    assert!(found.contains("MULTICAST,UP") && found.contains("alias smartvm:svbr0"), "{found}");
    assert_eq!(world.host.command("sysctl -n net.ipv4.conf.uplink.forwarding").trim(), "1");
    world.host.run(|| network.detach(&guest.tap).unwrap());
    world.host.run(|| network.detach(&guest.tap).unwrap());
    assert!(world.host.run(|| network.close().unwrap()));
    assert_eq!(host_of(&world), before);
    let left = state_files(&world);
    assert!(left.iter().all(|file| file.ends_with(".lock")), "{left:?}");
}

#[test]
fn a_network_stays_while_anybody_uses_it() {
    let world = World::new();
    let before = host_of(&world);
    let (one, two) = (world.open(), world.open());
    let guest = world.host.run(|| one.attach(&world.request("web")).unwrap());
    assert!(!world.host.run(|| one.close().unwrap()));
    world.host.run(|| two.detach(&guest.tap).unwrap());
    // An interface that nobody uses does not keep it, but one that is there does.
    let guest = world.host.run(|| two.attach(&world.request("web")).unwrap());
    assert!(!world.host.run(|| two.close().unwrap()));
    let three = world.open();
    world.host.run(|| three.detach(&guest.tap).unwrap());
    assert!(world.host.run(|| three.close().unwrap()));
    assert_eq!(host_of(&world), before);
}

#[test]
fn another_network_of_the_same_name_is_refused_while_it_is_used() {
    let mut world = World::new();
    let network = world.open();
    let before = host_of(&world);
    let mut refused = |change: fn(&mut World)| {
        let kept = world.options.clone();
        change(&mut world);
        let error = world.host.run(|| Network::open(&world.options).unwrap_err());
        assert_eq!(error.code(), "NETWORK_DIFFERS");
        world.options = kept;
    };
    refused(|world| world.options.subnet = "10.9.0.0/24".parse().unwrap());
    refused(|world| world.options.isolation.metadata = true);
    refused(|world| world.options.mtu = Some(1400));
    assert_eq!(host_of(&world), before);
    drop(network);
    // Nobody uses it any more: it is replaced.
    world.options.subnet = "10.9.0.0/24".parse().unwrap();
    let network = world.open();
    assert!(world.host.ip("-br addr show svbr0").contains("10.9.0.1/24"));
    assert!(!world.host.ip("-br addr show svbr0").contains("172.30"));
    assert!(world.host.run(|| network.close().unwrap()));
}

#[test]
fn a_bridge_of_others_is_used_as_it_is_and_stays() {
    let world = World::new();
    world.host.ip("link add svbr0 type bridge");
    let open = || world.host.run(|| Network::open(&world.options));
    let refused = |part: &str| {
        let before = host_of(&world);
        let error = open().unwrap_err();
        assert_eq!(error.code(), "BRIDGE_UNUSABLE");
        assert!(error.hint().unwrap().contains(part), "{:?}", error.hint());
        assert_eq!(host_of(&world), before);
    };
    refused("ip link set svbr0 up");
    world.host.ip("link set svbr0 up");
    refused("ip addr add 172.30.0.1/24 dev svbr0");
    world.host.ip("addr add 172.30.0.1/24 dev svbr0");
    // A port of others, such as the host's own network card.
    world.host.connect("lan0", &world.internet, "lan1");
    // The bridge takes the lowest address of its ports: here one that is higher than nearly all.
    world.host.ip("link set lan0 address fa:ff:ff:ff:ff:ff master svbr0");
    let before = host_of(&world);
    let as_known = || world.host.ip("-br link show svbr0").contains("fa:ff:ff:ff:ff:ff");
    assert!(as_known());
    let network = open().unwrap();
    let guest = world.attach(&network, &world.request("web"));
    let _server = Server::new(&world.internet, 80);
    world.internet.ip("addr add 172.30.0.200/24 dev lan1");
    assert!(guest.tcp(INTERNET, 80));
    assert!(guest.no_tcp("172.30.0.200".parse().unwrap(), 80), "not past the host");
    let others = ["one", "two"].map(|vm| world.attach(&network, &world.request(vm)));
    assert!(as_known(), "the host's address stays what others know");
    for other in others {
        let tap = other.attachment.tap.clone();
        drop(other);
        world.host.run(|| network.detach(&tap).unwrap());
    }
    let tap = guest.attachment.tap.clone();
    drop(guest);
    world.host.run(|| network.detach(&tap).unwrap());
    assert!(world.host.run(|| network.close().unwrap()));
    world.internet.ip("addr del 172.30.0.200/24 dev lan1");
    assert_eq!(host_of(&world), before);
}

#[test]
fn a_subnet_that_the_host_reaches_elsewhere_is_refused_with_a_free_one() {
    let world = World::new();
    world.host.ip("route add 172.16.0.0/12 via 192.0.2.2");
    let before = host_of(&world);
    let error = world.host.run(|| Network::open(&world.options).unwrap_err());
    assert_eq!(error.code(), "SUBNET_IN_USE");
    assert!(error.to_string().contains("172.16.0.0/12"), "{error}");
    assert!(error.hint().unwrap().contains("10.0.30.0/24"), "{:?}", error.hint());
    assert_eq!(host_of(&world), before);
    let taken: InterfaceName = "uplink".parse().unwrap();
    let options = smartvm_network::NetworkOptions { bridge: taken, ..world.options.clone() };
    let error = world.host.run(|| Network::open(&options).unwrap_err());
    assert_eq!(error.code(), "BRIDGE_UNUSABLE");
    assert_eq!(host_of(&world), before);
}

#[test]
fn a_subnet_that_no_guest_can_have_is_refused() {
    let mut world = World::new();
    let before = host_of(&world);
    for subnet in [
        "0.0.0.0/24",
        "127.0.0.0/24",
        "64.0.0.0/2",
        "169.254.1.0/24",
        "224.0.0.0/24",
        "250.0.0.0/8",
    ] {
        world.options.subnet = subnet.parse().unwrap();
        let error = world.host.run(|| Network::open(&world.options).unwrap_err());
        assert_eq!(error.code(), "INVALID_SUBNET", "{error}");
        assert!(error.hint().unwrap().contains("172.30.0.0/24"));
        assert_eq!(host_of(&world), before);
    }
}

#[test]
fn rules_that_another_program_removed_are_put_back() {
    let world = World::new();
    let network = world.open();
    let _servers = [Server::new(&world.internet, 80), Server::new(&world.host, 80)];
    let guest = world.attach(&network, &world.request("web"));
    let reload = || {
        let (dir, name) = (&world.options.state_dir, network.name());
        world.host.run(|| Network::reload(dir, name).unwrap())
    };
    world.host.command("nft flush ruleset");
    let report = |world: &World| {
        let mut all = world.host.run(|| NetworkReport::all(&world.options.state_dir).unwrap());
        all.remove(0)
    };
    assert!(!report(&world).rules_in_force);
    assert!(reload());
    assert!(report(&world).rules_in_force);
    assert!(guest.tcp(INTERNET, 80) && guest.no_tcp(guest.attachment.gateway, 80));
    // The next guest puts them back as well.
    world.host.command("nft flush ruleset");
    let other = world.attach(&network, &world.request("other"));
    assert!(report(&world).rules_in_force);
    assert!(other.tcp(INTERNET, 80) && guest.tcp(INTERNET, 80));
    assert!(other.no_tcp(guest.address(), 80));
    let none = "svbr7".parse().unwrap();
    assert!(!world.host.run(|| Network::reload(&world.options.state_dir, &none).unwrap()));
}

#[test]
fn what_dead_owners_left_is_swept_and_the_living_are_not_touched() {
    let world = World::new();
    let before = host_of(&world);
    let network = world.open();
    let (path, alive) = world.owner("alive");
    let mut request = world.request("alive");
    request.owner = path;
    let alive_tap = world.host.run(|| network.attach(&request).unwrap().tap);
    for number in 0..5 {
        world.host.run(|| network.attach(&world.request(&format!("dead{number}"))).unwrap());
    }
    let mut gone = world.request("gone");
    gone.owner = world.dir.path().join("no such lock");
    world.host.run(|| network.attach(&gone).unwrap());
    let sweep = || world.host.run(|| Network::sweep(&world.options.state_dir).unwrap());
    let swept = sweep();
    assert_eq!((swept.interfaces.len(), swept.networks.len(), swept.failed.len()), (6, 0, 0));
    let reports = world.host.run(|| NetworkReport::all(&world.options.state_dir).unwrap());
    assert_eq!(reports[0].guests.len(), 1);
    assert!(reports[0].rules_in_force && world.host.ip("link").contains(alive_tap.as_str()));
    assert!(sweep().interfaces.is_empty());
    // Not only dropped: a child that another test is making has it open for a moment.
    alive.unlock().unwrap();
    assert_eq!(sweep().interfaces.len(), 1);
    drop(network);
    assert_eq!(sweep().networks.len(), 1);
    assert_eq!(host_of(&world), before);
}

#[test]
fn two_hundred_guests_at_once_have_names_addresses_and_links_of_their_own() {
    let world = World::new();
    let before = host_of(&world);
    let network = world.open();
    let attach = |number: usize| {
        let request = world.request(&format!("vm{number}"));
        // Each as a process of its own would: with its own handle.
        let network = world.open();
        world.host.run(|| network.attach(&request).unwrap())
    };
    let all: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                scope.spawn(move || (0..25).map(|it| attach(thread * 25 + it)).collect::<Vec<_>>())
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let unique =
        |values: Vec<String>| values.into_iter().collect::<std::collections::BTreeSet<_>>().len();
    assert_eq!(unique(all.iter().map(|it| it.tap.to_string()).collect()), 200);
    assert_eq!(unique(all.iter().map(|it| it.mac.to_string()).collect()), 200);
    assert_eq!(unique(all.iter().map(|it| it.address.to_string()).collect()), 200);
    let reports = world.host.run(|| NetworkReport::all(&world.options.state_dir).unwrap());
    assert!(reports[0].rules_in_force && reports[0].guests.len() == 200);
    let swept = world.host.run(|| Network::sweep(&world.options.state_dir).unwrap());
    assert_eq!((swept.interfaces.len(), swept.failed.len()), (200, 0));
    assert!(world.host.run(|| network.close().unwrap()));
    assert_eq!(host_of(&world), before);
}

#[test]
fn a_thousand_guests_one_after_another_leave_nothing() {
    let world = World::new();
    let before = host_of(&world);
    let network = world.open();
    for round in 0..1000 {
        let mut request = world.request(&format!("vm{round}"));
        if round % 3 == 0 {
            request.published = vec!["8080:80".parse().unwrap()];
        }
        world.host.run(|| {
            let made = network.attach(&request).unwrap();
            network.detach(&made.tap).unwrap();
        });
    }
    assert!(world.host.run(|| network.close().unwrap()));
    assert_eq!(host_of(&world), before);
}

#[test]
fn a_bridge_that_another_program_removed_or_replaced_is_noticed() {
    let world = World::new();
    let network = world.open();
    world.host.ip("link del svbr0");
    let error = world.host.run(|| network.attach(&world.request("web")).unwrap_err());
    assert_eq!(error.code(), "BRIDGE_UNUSABLE", "{error}");
    assert!(!world.host.ip("-br link").contains("sv"), "nothing is left of the attempt");
    world.host.ip("link add svbr0 type bridge");
    world.host.ip("link set svbr0 up");
    let made = world.host.run(|| network.attach(&world.request("web")).unwrap());
    assert!(world.host.ip(&format!("link show {}", made.tap)).contains("master svbr0"));
}
