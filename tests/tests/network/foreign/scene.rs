//! What other programs do to a host's rules, played, and a host with guests to look at it.

use smartvm_network::nft::ForeignBlock;
use smartvm_network::policy::{HostService, Isolation, Transport};
use smartvm_network::{Network, NetworkReport};
use smartvm_testkit::NetNamespace;

use super::super::world::{Guest, HOST, HOST_OTHER, METADATA, Server, World, no_tcp_from};

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
pub(super) const FIREWALLD: &str = "\
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
pub(super) fn of_others(host: &NetNamespace) -> String {
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

/// Docker's rules, by one of the two forms of iptables.
pub(super) fn docker(host: &NetNamespace, iptables: &str) {
    for line in DOCKER.lines() {
        host.command(&format!("{iptables} {line}"));
    }
}

pub(super) fn nft(host: &NetNamespace, rules: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), rules).unwrap();
    host.command(&format!("nft -f {}", file.path().display()));
}

pub(super) fn blocks(world: &World) -> Vec<ForeignBlock> {
    let mut reports = world.host.run(|| NetworkReport::all(&world.options.state_dir).unwrap());
    reports.remove(0).foreign_blocks
}

/// A guest, of which TCP port 80 is published as 8080, and servers everywhere.
pub(super) fn stage(world: &World) -> (Network, Guest, Guest, [Server; 3]) {
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
pub(super) fn assert_isolated(world: &World, guest: &Guest, other: &Guest) {
    assert!(other.no_tcp(guest.address(), 80) && other.no_tcp(HOST, 8080));
    assert!(guest.no_tcp(guest.attachment.gateway, 80) && guest.no_tcp(HOST, 80));
    assert!(guest.no_tcp(METADATA, 80));
    world.internet.ip("route replace 172.30.0.0/24 via 192.0.2.1");
    assert!(no_tcp_from(&world.internet, guest.address(), 80));
    world.internet.ip("route del 172.30.0.0/24");
}

/// A container behind a bridge of another program, which answers on TCP port 80.
pub(super) fn container(world: &World) -> (NetNamespace, Server) {
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
pub(super) fn assert_closed(guests: [&Guest; 2], port: u16) {
    for guest in guests {
        for address in
            [HOST, HOST_OTHER, guests[0].attachment.gateway, guests[1].attachment.gateway]
        {
            assert!(guest.no_tcp(address, port), "{address}:{port}");
        }
    }
}

/// A second network, which is as open as the first.
pub(super) fn second_network(world: &World) -> (Network, Guest) {
    let mut options = world.options.clone();
    options.bridge = "svbr1".parse().unwrap();
    options.subnet = "172.31.0.0/24".parse().unwrap();
    let network = world.host.run(|| Network::open(&options).unwrap());
    let guest = world.attach(&network, &world.request("second"));
    (network, guest)
}

pub(super) fn host_port(port: u16) -> Isolation {
    let service = HostService { protocol: Transport::Tcp, port };
    Isolation { host_services: vec![service], ..Isolation::default() }
}
