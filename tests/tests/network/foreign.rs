//! Firewalls of other programs beside ours: ours are neither broken by them nor break them.

use smartvm_network::nft::{ForeignBlock, ForeignProgram, GuestTraffic};
use smartvm_network::policy::{EgressPolicy, FirewallConfig, HostService, Isolation, Transport};
use smartvm_network::{Network, NetworkReport};
use smartvm_testkit::NetNamespace;

use super::world::{
    Guest, HOST, HOST_OTHER, INTERNET, LONG, METADATA, SHORT, Server, World, connect, no_tcp_from,
    talk, tcp_from,
};

use GuestTraffic::{Answers, Connections, Published};

/// Rules in the form that Docker 28 gives them, with one bridge of its own and one published port.
const DOCKER: &str = "\
-P FORWARD DROP
-N DOCKER
-N DOCKER-USER
-N DOCKER-FORWARD
-N DOCKER-CT
-N DOCKER-BRIDGE
-N DOCKER-ISOLATION-STAGE-1
-N DOCKER-ISOLATION-STAGE-2
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i docker0 -j ACCEPT
-A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-BRIDGE -o docker0 -j DOCKER
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER ! -i docker0 -o docker0 -j DROP
-t nat -N DOCKER
-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8081 -j DNAT --to-destination 172.17.0.2:80";

/// Rules in the form that firewalld gives them, with the uplink in its zone `public`, which is the default,
/// and nothing in `trusted`.
const FIREWALLD: &str = "\
table inet firewalld {
  chain filter_INPUT {
    type filter hook input priority filter + 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname \"lo\" accept
    ct state invalid drop
    icmp type echo-request accept
    reject with icmpx admin-prohibited
  }
  chain filter_FORWARD {
    type filter hook forward priority filter + 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname \"lo\" accept
    ct state invalid drop
    ip6 daddr { ::/96, 2002:7f00::/24 } reject with icmpv6 addr-unreachable
    jump filter_FORWARD_ZONES
    reject with icmpx admin-prohibited
  }
  chain filter_FORWARD_ZONES {
    iifname \"uplink\" goto filter_FWD_public
    goto filter_FWD_public
  }
  chain filter_FWD_public {
    jump filter_FWD_public_allow
    meta l4proto { icmp, ipv6-icmp } accept
    reject with icmpx admin-prohibited
  }
  chain filter_FWD_public_allow {
  }
  chain filter_FWD_trusted {
    accept
  }
}";

/// The rules of others, without what they have counted.
fn of_others(host: &NetNamespace) -> String {
    let listed = host.command("nft -s list ruleset");
    let mut theirs = true;
    let lines = listed.lines().filter(|line| {
        if line.starts_with("table ") {
            theirs = !line.contains(" smartvm-") && !line.contains(" smartvm ");
        }
        theirs && !line.is_empty()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn docker(host: &NetNamespace) {
    for line in DOCKER.lines() {
        host.command(&format!("iptables-nft {line}"));
    }
}

fn nft(host: &NetNamespace, rules: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), rules).unwrap();
    host.command(&format!("nft -f {}", file.path().display()));
}

fn blocks(world: &World) -> Vec<ForeignBlock> {
    let mut reports = world.host.run(|| NetworkReport::all(&world.options.state_dir).unwrap());
    reports.remove(0).foreign_blocks
}

/// A guest, of which TCP port 80 is published as 8080, and servers everywhere.
fn stage(world: &World) -> (smartvm_network::Network, Guest, Guest, [Server; 3]) {
    let network = world.open();
    let mut request = world.request("web");
    request.published = vec!["8080:80".parse().unwrap()];
    let guest = world.attach(&network, &request);
    let other = world.attach(&network, &world.request("other"));
    let servers = [
        Server::new(&world.internet, 80),
        Server::new(&world.host, 80),
        Server::new(&guest.inside.namespace, 80),
    ];
    (network, guest, other, servers)
}

/// Whatever others accept, ours stay closed.
#[track_caller]
fn assert_isolated(world: &World, guest: &Guest, other: &Guest) {
    assert!(other.no_tcp(guest.address(), 80) && other.no_tcp(HOST, 8080));
    assert!(guest.no_tcp(guest.attachment.gateway, 80) && guest.no_tcp(HOST, 80));
    assert!(guest.no_tcp(METADATA, 80));
    world.internet.ip("route replace 172.30.0.0/24 via 192.0.2.1");
    assert!(no_tcp_from(&world.internet, guest.address(), 80));
    world.internet.ip("route del 172.30.0.0/24");
}

/// A container behind a bridge of another program, which answers on TCP port 80.
fn container(world: &World) -> (NetNamespace, Server) {
    let inside = NetNamespace::new();
    world.host.ip("link add docker0 type bridge");
    world.host.ip("addr add 172.17.0.1/16 dev docker0");
    world.host.ip("link set docker0 up");
    world.host.connect("veth0", &inside, "eth0");
    world.host.ip("link set veth0 master docker0");
    inside.ip("addr add 172.17.0.2/16 dev eth0");
    inside.ip("route add default via 172.17.0.1");
    let server = Server::new(&inside, 80);
    (inside, server)
}

/// Two guests of two networks, neither of which reaches a port of the host, by whatever address.
#[track_caller]
fn assert_closed(guests: [&Guest; 2], port: u16) {
    for guest in guests {
        for address in
            [HOST, HOST_OTHER, guests[0].attachment.gateway, guests[1].attachment.gateway]
        {
            assert!(guest.no_tcp(address, port), "{address}:{port}");
        }
    }
}

/// A second network, which is as open as the first.
fn second_network(world: &World) -> (Network, Guest) {
    let mut options = world.options.clone();
    options.bridge = "svbr1".parse().unwrap();
    options.subnet = "172.31.0.0/24".parse().unwrap();
    let network = world.host.run(|| Network::open(&options).unwrap());
    let guest = world.attach(&network, &world.request("second"));
    (network, guest)
}

fn host_port(port: u16) -> Isolation {
    let service = HostService { protocol: Transport::Tcp, port };
    Isolation { host_services: vec![service], ..Isolation::default() }
}

/// F4: what Docker publishes is forwarded, and never at the hook `input`.
#[test]
fn a_port_that_docker_publishes_is_closed_to_guests_as_the_hosts_others() {
    let world = World::new();
    docker(&world.host);
    for remedy in ["-i svbr0", "-i svbr1", "-m conntrack --ctstate RELATED,ESTABLISHED"] {
        world.host.command(&format!("iptables-nft -I DOCKER-USER {remedy} -j ACCEPT"));
    }
    // Its other way: a program of its own that listens.
    let _userland = Server::new(&world.host, 8082);
    let (_container, _server) = container(&world);
    let (network, guest, _other, _servers) = stage(&world);
    let (_second, second) = second_network(&world);
    assert!(tcp_from(&world.internet, HOST, 8081) && tcp_from(&world.internet, HOST, 8082));
    assert_closed([&guest, &second], 8081);
    assert_closed([&guest, &second], 8082);
    assert!(guest.no_tcp([172, 17, 0, 1].into(), 8081));
    assert!(guest.no_udp(HOST, 8081));
    assert!(guest.tcp(INTERNET, 80));
    // Opened, as any port of the host; and then what it leads to, as anything beyond the host.
    let container = r#"{"egress":{"rules":[{"action":"allow","to":"172.17.0.2"}]}}"#;
    let container = FirewallConfig::from_json(container).unwrap();
    let set = |isolation| world.host.run(|| network.set_policy(isolation, container.clone()));
    world.host.run(|| network.set_policy(host_port(8081), EgressPolicy::default())).unwrap();
    assert_closed([&guest, &second], 8081);
    set(host_port(8081)).unwrap();
    assert!(guest.tcp(HOST, 8081) && guest.no_tcp(HOST, 8082));
    assert!(second.no_tcp(HOST, 8081));
    // Closed again; what was begun is cut.
    let mut stream = connect(&guest, HOST, 8081);
    assert!(talk(&mut stream, LONG));
    assert!(set(Isolation::default()).unwrap() >= 1);
    assert!(!talk(&mut stream, SHORT));
    assert_closed([&guest, &second], 8081);
}

/// Rules in the form that kube-proxy gives them, with one NodePort.
const KUBE_PROXY: &str = "\
-t nat -N KUBE-SERVICES
-t nat -N KUBE-NODEPORTS
-t nat -N KUBE-EXT-A
-t nat -N KUBE-SVC-A
-t nat -N KUBE-SEP-A
-t nat -N KUBE-POSTROUTING
-t nat -N KUBE-MARK-MASQ
-t nat -A PREROUTING -j KUBE-SERVICES
-t nat -A POSTROUTING -j KUBE-POSTROUTING
-t nat -A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-t nat -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-t nat -A KUBE-POSTROUTING -j MASQUERADE --random-fully
-t nat -A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-t nat -A KUBE-NODEPORTS -p tcp -m tcp --dport 30080 -j KUBE-EXT-A
-t nat -A KUBE-EXT-A -j KUBE-MARK-MASQ
-t nat -A KUBE-EXT-A -j KUBE-SVC-A
-t nat -A KUBE-SVC-A -j KUBE-SEP-A
-t nat -A KUBE-SEP-A -p tcp -m tcp -j DNAT --to-destination 172.17.0.2:80";

/// F4, in another program's form.
#[test]
fn a_node_port_is_closed_to_guests_as_the_hosts_others() {
    let world = World::new();
    for line in KUBE_PROXY.lines() {
        world.host.command(&format!("iptables-nft {line}"));
    }
    let (_container, _server) = container(&world);
    let (_network, guest, _other, _servers) = stage(&world);
    let (_second, second) = second_network(&world);
    assert!(tcp_from(&world.internet, HOST, 30080));
    assert_closed([&guest, &second], 30080);
    assert!(guest.tcp(INTERNET, 80) && second.tcp(INTERNET, 80));
}

/// F5: they are led to as others of beyond the host are.
#[test]
fn guests_of_another_network_do_not_reach_a_published_port() {
    let mut world = World::new();
    let (_network, guest, other, _servers) = stage(&world);
    // Also where much of it is open.
    world.options.isolation = host_port(9000);
    world.options.isolation.vm_to_vm = true;
    let (_second, second) = second_network(&world);
    assert!(tcp_from(&world.internet, HOST, 8080));
    assert_closed([&other, &second], 8080);
    assert!(second.no_tcp(guest.address(), 80));
    assert!(second.tcp(INTERNET, 80));
}

#[test]
fn docker_stops_guests_and_is_told_with_what_mends_it() {
    let world = World::new();
    docker(&world.host);
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
