//! What stops guests is told, with what lets them through.

use smartvm_network::nft::{ForeignProgram, GuestTraffic};

use super::super::world::{HOST, INTERNET, World, no_tcp_from, tcp_from};
use super::scene::{FIREWALLD, assert_isolated, blocks, docker, nft, of_others, stage};

use GuestTraffic::{Answers, Connections, Published};

#[test]
fn docker_stops_guests_and_is_told_with_what_mends_it() {
    let world = World::new();
    docker(&world.host, "iptables-nft");
    let theirs = of_others(&world.host);
    let (network, guest, other, servers) = stage(&world);
    assert!(guest.no_tcp(INTERNET, 80) && no_tcp_from(&world.internet, HOST, 8080));
    let [block] = &blocks(&world)[..] else { panic!("one chain") };
    assert_eq!(block.program, ForeignProgram::Docker);
    assert_eq!(block.stops, [Connections, Answers, Published]);
    assert_eq!((block.family, &*block.table, &*block.chain), ("ip", "filter", "FORWARD"));
    assert_eq!(
        block.remedies,
        [
            "iptables -I DOCKER-USER -i svbr0 -j ACCEPT",
            "iptables -I DOCKER-USER -o svbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "iptables -I DOCKER-USER -o svbr0 -m conntrack --ctstate DNAT -j ACCEPT",
        ]
    );
    assert_isolated(&world, &guest, &other);
    assert_eq!(of_others(&world.host), theirs);

    // Each does its part: the first two for what guests begin.
    let run = |remedy: &str| world.host.command(&remedy.replacen("iptables", "iptables-nft", 1));
    run(&block.remedies[0]);
    assert_eq!(blocks(&world)[0].stops, [Answers, Published]);
    assert_eq!(blocks(&world)[0].remedies, block.remedies[1..]);
    assert!(guest.no_tcp(INTERNET, 80));
    run(&block.remedies[1]);
    assert_eq!(blocks(&world)[0].stops, [Published]);
    assert!(guest.tcp(INTERNET, 80) && no_tcp_from(&world.internet, HOST, 8080));
    run(&block.remedies[2]);
    assert_eq!(blocks(&world), []);
    assert!(guest.tcp(INTERNET, 80) && tcp_from(&world.internet, HOST, 8080));
    assert_isolated(&world, &guest, &other);
    // Also with everything of theirs open.
    world.host.command("iptables-nft -I FORWARD -j ACCEPT");
    world.host.command("iptables-nft -I INPUT -j ACCEPT");
    assert_isolated(&world, &guest, &other);

    let theirs = of_others(&world.host);
    drop(servers);
    for it in [guest, other] {
        let tap = it.attachment.tap.clone();
        drop(it);
        world.host.run(|| network.detach(&tap).unwrap());
    }
    assert!(world.host.run(|| network.close().unwrap()));
    assert_eq!(of_others(&world.host), theirs);
}

#[test]
fn firewalld_stops_guests_and_is_told_with_what_mends_it() {
    let world = World::new();
    nft(&world.host, FIREWALLD);
    let theirs = of_others(&world.host);
    let (network, guest, other, servers) = stage(&world);
    // It accepts what was led elsewhere, and answers.
    assert!(guest.no_tcp(INTERNET, 80) && tcp_from(&world.internet, HOST, 8080));
    let [block] = &blocks(&world)[..] else { panic!("one chain") };
    assert_eq!(block.program, ForeignProgram::Firewalld);
    assert_eq!(block.stops, [Connections]);
    assert_eq!(
        (block.family, &*block.table, &*block.chain),
        ("inet", "firewalld", "filter_FORWARD")
    );
    assert_eq!(block.remedies, ["firewall-cmd --zone=trusted --add-interface=svbr0"]);
    assert_isolated(&world, &guest, &other);
    assert_eq!(of_others(&world.host), theirs);
    // What that command does.
    world.host.command(
        "nft insert rule inet firewalld filter_FORWARD_ZONES iifname svbr0 goto filter_FWD_trusted",
    );
    assert_eq!(blocks(&world), []);
    assert!(guest.tcp(INTERNET, 80));
    assert_isolated(&world, &guest, &other);

    let theirs = of_others(&world.host);
    drop((servers, guest, other));
    let swept = world.host.run(|| {
        drop(network);
        smartvm_network::Network::sweep(&world.options.state_dir).unwrap()
    });
    assert_eq!((swept.interfaces.len(), swept.networks.len()), (2, 1));
    assert_eq!(of_others(&world.host), theirs);
}

/// What is said to stop guests does, and what lets them through is not said to.
#[test]
fn what_is_told_of_other_firewalls_is_what_they_do() {
    let world = World::new();
    let (_network, guest, _other, _servers) = stage(&world);
    let chain = |policy: &str, rules: &str| {
        format!(
            "table ip custom {{\n chain sub {{ }}\n chain main {{\n \
             type filter hook forward priority 0; policy {policy};\n {rules}\n }}\n }}\n"
        )
    };
    let all = [Connections, Answers, Published];
    let answers = "ct state { established, related } accept";
    for (policy, rules, stops) in [
        ("accept", String::new(), &[][..]),
        ("drop", String::new(), &all),
        ("accept", "drop".to_owned(), &all),
        ("accept", format!("{answers}\n reject"), &[Connections, Published]),
        ("drop", format!("{answers}\n iifname svbr0 accept"), &[Published]),
        ("drop", "iifname \"sv*\" accept\n oifname \"sv*\" accept".to_owned(), &[]),
        ("drop", "ip saddr 172.30.0.0/24 accept\n ip daddr 172.30.0.0/24 accept".to_owned(), &[]),
        ("drop", "iifname vmap { \"svbr0\" : accept, \"uplink\" : accept }".to_owned(), &[]),
        ("drop", "iifname vmap { \"docker0\" : accept }".to_owned(), &all),
        ("drop", "iifname != \"docker0\" accept".to_owned(), &[]),
        ("drop", "jump sub\n meta l4proto { icmp, udp } accept".to_owned(), &all),
        ("drop", "goto sub\n accept".to_owned(), &all),
        ("drop", "ct state new accept".to_owned(), &all),
        ("accept", "iifname docker0 drop\n oifname docker0 reject".to_owned(), &[]),
        ("accept", "oifname uplink ct state new reject".to_owned(), &[Connections]),
        ("accept", "oifname svbr0 ct state new drop".to_owned(), &[Published]),
    ] {
        nft(&world.host, &chain(policy, &rules));
        let found = blocks(&world);
        let told = found.first().map(|block| block.stops.clone()).unwrap_or_default();
        assert_eq!(told, stops, "policy {policy}; {rules}");
        let connects = if told.contains(&Connections) || told.contains(&Answers) {
            !guest.no_tcp(INTERNET, 80)
        } else {
            guest.tcp(INTERNET, 80)
        };
        assert_eq!(connects, !told.contains(&Connections) && !told.contains(&Answers), "{rules}");
        let published = if told.contains(&Published) {
            !no_tcp_from(&world.internet, HOST, 8080)
        } else {
            tcp_from(&world.internet, HOST, 8080)
        };
        assert_eq!(published, !told.contains(&Published), "{rules}");
        // The remedies can be run as they are.
        for remedy in found.iter().flat_map(|block| &block.remedies) {
            world.host.command(remedy);
        }
        assert_eq!(blocks(&world), [], "{rules}");
        assert!(guest.tcp(INTERNET, 80) && tcp_from(&world.internet, HOST, 8080), "{rules}");
        world.host.command("nft delete table ip custom");
    }
}
