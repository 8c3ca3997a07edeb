//! The old iptables, whose rules are not in nftables.

use smartvm_network::nft::{ForeignBackend, ForeignProgram, GuestTraffic};
use smartvm_testkit::NetNamespace;

use super::super::world::{HOST, INTERNET, Server, World, no_tcp_from, tcp_from};
use super::scene::{
    assert_closed, assert_isolated, blocks, container, docker, second_network, stage,
};

use GuestTraffic::{Answers, Connections, Published};

/// The tables of the old iptables that there are.
fn tables(host: &NetNamespace) -> String {
    host.run(|| fs_err::read_to_string("/proc/thread-self/net/ip_tables_names").unwrap())
}

fn saved(host: &NetNamespace) -> String {
    let saved = host.command("iptables-legacy-save");
    let is_rule = |line: &&str| line.starts_with('-') || line.starts_with('*');
    saved.lines().filter(is_rule).collect::<Vec<_>>().join("\n")
}

/// F4: rules of iptables-legacy are seen and told.
#[test]
fn docker_in_the_old_iptables_stops_guests_and_is_told_with_what_mends_it() {
    let world = World::new();
    docker(&world.host, "iptables-legacy");
    let theirs = saved(&world.host);
    let (_network, guest, other, _servers) = stage(&world);
    assert!(guest.no_tcp(INTERNET, 80) && no_tcp_from(&world.internet, HOST, 8080));
    let [block] = &blocks(&world)[..] else { panic!("one chain") };
    assert_eq!(
        (block.backend, block.program),
        (ForeignBackend::IptablesLegacy, ForeignProgram::Docker)
    );
    assert_eq!(block.stops, [Connections, Answers, Published]);
    assert_eq!((block.family, &*block.table, &*block.chain), ("ip", "filter", "FORWARD"));
    let user = "iptables-legacy -I DOCKER-USER";
    assert_eq!(
        block.remedies,
        [
            format!("{user} -i svbr0 -j ACCEPT"),
            format!("{user} -o svbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
            format!("{user} -o svbr0 -m conntrack --ctstate DNAT -j ACCEPT"),
        ]
    );
    assert_isolated(&world, &guest, &other);
    assert_eq!(saved(&world.host), theirs);
    // Each does its part, as it is told.
    world.host.command(&block.remedies[0]);
    assert_eq!(blocks(&world)[0].stops, [Answers, Published]);
    assert!(guest.no_tcp(INTERNET, 80));
    world.host.command(&block.remedies[1]);
    assert_eq!(blocks(&world)[0].stops, [Published]);
    assert!(guest.tcp(INTERNET, 80) && no_tcp_from(&world.internet, HOST, 8080));
    world.host.command(&block.remedies[2]);
    assert_eq!(blocks(&world), []);
    assert!(tcp_from(&world.internet, HOST, 8080));
    // Also with everything of theirs open.
    world.host.command("iptables-legacy -I FORWARD -j ACCEPT");
    world.host.command("iptables-legacy -I INPUT -j ACCEPT");
    assert_isolated(&world, &guest, &other);
}

/// F4, where the old iptables leads the port elsewhere.
#[test]
fn a_port_that_the_old_iptables_publishes_is_closed_to_guests() {
    let world = World::new();
    docker(&world.host, "iptables-legacy");
    for remedy in ["-i svbr0", "-i svbr1", "-m conntrack --ctstate RELATED,ESTABLISHED"] {
        world.host.command(&format!("iptables-legacy -I DOCKER-USER {remedy} -j ACCEPT"));
    }
    let (_container, _server) = container(&world);
    let (_network, guest, _other, _servers) = stage(&world);
    let (_second, second) = second_network(&world);
    assert!(tcp_from(&world.internet, HOST, 8081));
    assert_closed([&guest, &second], 8081);
    assert!(guest.tcp(INTERNET, 80));
}

/// What is said to stop guests does, and what lets them through is not said to.
#[test]
fn what_is_told_of_the_old_iptables_is_what_it_does() {
    let world = World::new();
    let (_network, guest, _other, _servers) = stage(&world);
    let _answer = Server::new(&world.internet, 81);
    let all = [Connections, Answers, Published];
    let answers = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT";
    for (policy, rules, stops) in [
        ("ACCEPT", vec![], &[][..]),
        ("DROP", vec![], &all),
        ("DROP", vec![answers, "-i svbr0 -j ACCEPT"], &[Published]),
        ("DROP", vec!["-m state --state NEW -j ACCEPT"], &all),
        ("DROP", vec!["-i sv+ -j ACCEPT", "-o sv+ -j ACCEPT"], &[]),
        ("DROP", vec!["! -i docker0 -j ACCEPT"], &[]),
        ("DROP", vec!["-p udp -j ACCEPT", "! -p tcp -j ACCEPT"], &all),
        ("ACCEPT", vec!["! -s 172.30.0.0/24 ! -d 172.30.0.0/24 -j DROP"], &[]),
        ("ACCEPT", vec![answers, "-j REJECT"], &[Connections, Published]),
        ("ACCEPT", vec!["-i svbr0 -o uplink -p tcp -j DROP"], &[Connections]),
        ("ACCEPT", vec!["-g SUB", "-j DROP"], &[]),
        ("ACCEPT", vec!["-j SUB", "-j DROP"], &all),
        ("ACCEPT", vec!["-f -j DROP"], &[]),
        ("ACCEPT", vec!["! -f -j DROP"], &all),
        ("DROP", vec!["-j LOG", "-m comment --comment x", "-j MARK --set-mark 1"], &all),
        ("ACCEPT", vec!["-p tcp --dport 81 -j DROP"], &[]),
    ] {
        let legacy = |rest: &str| world.host.command(&format!("iptables-legacy {rest}"));
        legacy(&format!("-P FORWARD {policy}"));
        legacy("-N SUB");
        for rule in &rules {
            legacy(&format!("-A FORWARD {rule}"));
        }
        let told = blocks(&world).first().map(|block| block.stops.clone()).unwrap_or_default();
        assert_eq!(told, stops, "policy {policy}; {rules:?}");
        let connects = !told.contains(&Connections) && !told.contains(&Answers);
        let reached = if connects { guest.tcp(INTERNET, 80) } else { !guest.no_tcp(INTERNET, 80) };
        assert_eq!(reached, connects, "{rules:?}");
        for remedy in blocks(&world).iter().flat_map(|block| &block.remedies) {
            world.host.command(remedy);
        }
        assert_eq!(blocks(&world), [], "{rules:?}");
        assert!(guest.tcp(INTERNET, 80) && tcp_from(&world.internet, HOST, 8080), "{rules:?}");
        legacy("-F");
        legacy("-X");
    }
}

#[test]
fn looking_for_the_old_iptables_makes_none() {
    let world = World::new();
    let (_network, _guest, _other, _servers) = stage(&world);
    assert_eq!(blocks(&world), []);
    assert_eq!(tables(&world.host), "");
    world.host.command("iptables-legacy -t mangle -P FORWARD DROP");
    let [block] = &blocks(&world)[..] else { panic!("one chain") };
    assert_eq!(block.remedies[0], "iptables-legacy -t mangle -I FORWARD -i svbr0 -j ACCEPT");
    assert_eq!(tables(&world.host), "mangle\n");
}
