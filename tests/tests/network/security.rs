//! docs/SECURITY.md, row by row, with real packets.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use smartvm_network::Network;
use smartvm_network::policy::{HostService, Isolation, Transport};
use smartvm_testkit::NetNamespace;

use super::world::{
    Guest, HOST, INTERNET, INTERNET_PRIVATE, METADATA, Server, World, no_tcp_from, tcp_from,
};

const DOCUMENT: &str = include_str!("../../../docs/SECURITY.md");
const LINK_LOCAL: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// The port that is opened, of the host, and published, of a guest.
const PORT: u16 = 80;
const CLOSED_PORT: u16 = 81;
const PUBLISHED: u16 = 8080;
/// The host's port that another program leads elsewhere.
const LED: u16 = 8081;
const SHARED: Ipv4Addr = Ipv4Addr::new(100, 64, 0, 1);
/// Whom guests were told to ask for names.
const RESOLVER: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 53);
const NAMES: u16 = 53;

/// A machine in another network that the host is in.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

/// A row: from, to, by default, opened by.
type Row = (String, String, String, String);

fn rows() -> Vec<Row> {
    let section = DOCUMENT.split("## Who may reach whom").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let lines = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let row = |line: &str| {
        let cells: Vec<_> =
            line.trim_matches('|').split('|').map(|it| it.trim().to_owned()).collect();
        let [from, to, default, opened] = &cells[..] else { panic!("four cells: {line}") };
        (from.clone(), to.clone(), default.clone(), opened.clone())
    };
    lines.map(row).collect()
}

/// Everything that a row can be about.
struct Stage {
    world: World,
    one: Guest,
    two: Guest,
    /// Another network that the host is in.
    _elsewhere: NetNamespace,
    /// Of another network.
    third: Guest,
    _networks: [Network; 2],
    _servers: Vec<Server>,
    /// Whether it is expected to answer, so that the others need not be waited for long.
    expected: bool,
}

impl Stage {
    fn new(isolation: Isolation, published: bool) -> Self {
        let mut world = World::new();
        world.options.isolation = isolation;
        // A bridge of others, with a link of theirs.
        world.host.ip("link add svbr0 type bridge");
        world.host.ip("addr add 172.30.0.1/24 dev svbr0");
        world.host.ip("link set svbr0 up");
        world.host.ip("addr add fd00::1/64 dev svbr0 nodad");
        world.host.connect("lan0", &world.internet, "lan1");
        world.host.ip("link set lan0 master svbr0");
        world.internet.ip("addr add 172.30.0.200/32 dev lan1");
        // Back to the guest that asks.
        world.internet.ip("route add 172.30.0.2/32 dev lan1");
        world.host.command("sysctl -q net.ipv6.conf.all.forwarding=1");
        world.host.command("sysctl -q net.ipv4.conf.all.route_localnet=1");
        world.host.ip(&format!("route add {LINK_LOCAL}/32 via {INTERNET}"));
        world.internet.ip(&format!("addr add {LINK_LOCAL}/32 dev lo"));
        world.internet.ip("route add fd00::/64 via 2001:db8::1");
        let elsewhere = NetNamespace::new();
        world.host.connect("other0", &elsewhere, "net1");
        world.host.ip("addr add 198.51.100.1/24 dev other0");
        elsewhere.ip(&format!("addr add {ELSEWHERE}/24 dev net1"));
        elsewhere.ip("route add default via 198.51.100.1");
        world.internet.ip(&format!("route add 198.51.100.0/24 via {HOST}"));
        for address in [RESOLVER, SHARED] {
            world.internet.ip(&format!("addr add {address}/32 dev lo"));
        }
        world.host.command("nft add table ip other");
        world
            .host
            .command("nft add chain ip other ports { type nat hook prerouting priority dstnat; }");
        world.host.command(&format!(
            "nft add rule ip other ports fib daddr type local tcp dport {LED} dnat to {INTERNET}:{PORT}"
        ));
        let network = world.open();
        let attach = |vm: &str| {
            let mut request = world.request(vm);
            request.resolvers = [RESOLVER].into();
            if published && vm == "two" {
                request.published = vec![format!("{PUBLISHED}:{PORT}").parse().unwrap()];
            }
            world.attach(&network, &request)
        };
        let (one, two) = (attach("one"), attach("two"));
        let mut options = world.options.clone();
        options.bridge = "svbr1".parse().unwrap();
        options.subnet = "172.31.0.0/24".parse().unwrap();
        let other = world.host.run(|| Network::open(&options).unwrap());
        let third = world.attach(&other, &world.request("three"));
        for (guest, address) in [(&one, "fd00::2"), (&two, "fd00::3")] {
            guest.inside.namespace.ip(&format!("addr add {address}/64 dev eth0 nodad"));
            guest.inside.namespace.ip("-6 route add default via fd00::1");
        }
        let servers = vec![
            Server::new(&world.internet, PORT),
            Server::at(&world.internet, RESOLVER, NAMES),
            Server::new(&world.host, PORT),
            Server::new(&world.host, CLOSED_PORT),
            Server::new(&two.inside.namespace, PORT),
            Server::new(&elsewhere, PORT),
        ];
        let networks = [network, other];
        Self {
            world,
            one,
            two,
            _elsewhere: elsewhere,
            third,
            _networks: networks,
            _servers: servers,
            expected: false,
        }
    }

    fn guest_tcp(&self, to: Ipv4Addr, port: u16) -> bool {
        self.tcp(&self.one.inside.namespace, to, port)
    }

    fn third_tcp(&self, to: Ipv4Addr, port: u16) -> bool {
        self.tcp(&self.third.inside.namespace, to, port)
    }

    fn guest_ping(&self, to: &str) -> bool {
        if self.expected { self.one.ping(to) } else { !self.one.no_ping(to) }
    }

    fn tcp(&self, from: &NetNamespace, to: Ipv4Addr, port: u16) -> bool {
        if self.expected { tcp_from(from, to, port) } else { !no_tcp_from(from, to, port) }
    }
}

/// Whether a packet gets through.
type Probe = fn(&Stage) -> bool;

/// What each row of the table means in packets.
fn probes() -> BTreeMap<(&'static str, &'static str), Probe> {
    let mut probes: BTreeMap<_, fn(&Stage) -> bool> = BTreeMap::new();
    probes.insert(("guest", "beyond the host, public IPv4"), |it| it.guest_tcp(INTERNET, PORT));
    probes.insert(("guest", "beyond the host, a private address"), |it| {
        it.guest_tcp(INTERNET_PRIVATE, PORT)
    });
    probes.insert(("guest", "beyond the host, a shared address (100.64.0.0/10)"), |it| {
        it.guest_tcp(SHARED, PORT)
    });
    probes.insert(("guest", "beyond the host, on a network of the host"), |it| {
        it.guest_tcp(ELSEWHERE, PORT)
    });
    probes.insert(("guest", "a resolver that it was told, DNS"), |it| {
        it.guest_tcp(RESOLVER, NAMES) && it.one.udp(RESOLVER, NAMES)
    });
    probes.insert(("guest", "a resolver that it was told, another port"), |it| {
        it.guest_tcp(RESOLVER, PORT)
    });
    probes.insert(("guest", "beyond the host, IPv6"), |it| it.guest_ping("2001:db8::2"));
    probes.insert(("guest", "the host, gateway address"), |it| {
        it.guest_tcp(it.one.attachment.gateway, PORT)
    });
    probes.insert(("guest", "the host, another address"), |it| it.guest_tcp(HOST, PORT));
    probes.insert(("guest", "the host, another port"), |it| it.guest_tcp(HOST, CLOSED_PORT));
    probes.insert(("guest", "the host, a port that another program leads elsewhere"), |it| {
        it.guest_tcp(HOST, LED)
    });
    probes.insert(("guest", "the host, loopback"), |it| {
        let guest = &it.one.inside.namespace;
        guest.command("sysctl -q net.ipv4.conf.all.route_localnet=1");
        guest.ip("addr flush dev lo");
        guest.ip("route flush table local 127.0.0.0/8");
        guest.ip(&format!("route replace 127.0.0.0/8 via {}", it.one.attachment.gateway));
        it.guest_tcp(Ipv4Addr::LOCALHOST, PORT)
    });
    probes.insert(("guest", "the host, ICMP"), |it| {
        it.guest_ping(&it.one.attachment.gateway.to_string())
    });
    probes.insert(("guest", "the host, IPv6"), |it| it.guest_ping("fd00::1"));
    probes.insert(("guest", "169.254.169.254"), |it| it.guest_tcp(METADATA, PORT));
    probes.insert(("guest", "the rest of 169.254.0.0/16"), |it| it.guest_tcp(LINK_LOCAL, PORT));
    probes.insert(("guest", "another guest, IPv4"), |it| it.guest_tcp(it.two.address(), PORT));
    probes.insert(("guest", "another guest, through the gateway"), |it| {
        let guest = &it.one.inside.namespace;
        let (address, gateway) = (it.two.address(), it.one.attachment.gateway);
        guest.ip(&format!("route replace {address}/32 via {gateway}"));
        let reached = it.guest_tcp(address, PORT);
        guest.ip(&format!("route del {address}/32"));
        reached
    });
    probes.insert(("guest", "another guest, IPv6 link-local"), |it| {
        let addresses = it.two.inside.namespace.ip("-6 -o addr show dev eth0 scope link");
        let address = addresses.split_whitespace().nth(3).unwrap().split('/').next().unwrap();
        it.guest_ping(&format!("{address}%eth0"))
    });
    probes.insert(("guest", "another guest's published port"), |it| it.guest_tcp(HOST, PUBLISHED));
    probes.insert(("guest", "other links on the bridge"), |it| {
        it.guest_tcp("172.30.0.200".parse().unwrap(), PORT)
    });
    probes.insert(("guest", "other links on the bridge, through the gateway"), |it| {
        let (guest, gateway) = (&it.one.inside.namespace, it.one.attachment.gateway);
        guest.ip(&format!("route replace 172.30.0.200/32 via {gateway}"));
        // It answers by the gateway as well, as a machine does that has it as its router.
        let lan = &it.world.internet;
        lan.ip(&format!("route replace 172.30.0.2/32 via {gateway} dev lan1 onlink"));
        let reached = it.guest_tcp("172.30.0.200".parse().unwrap(), PORT);
        lan.ip("route replace 172.30.0.2/32 dev lan1");
        guest.ip("route del 172.30.0.200/32");
        reached
    });
    probes.insert(("guest of another network", "guest, IPv4"), |it| {
        it.third_tcp(it.two.address(), PORT)
    });
    probes.insert(("guest of another network", "guest, published port"), |it| {
        it.third_tcp(HOST, PUBLISHED)
    });
    probes.insert(("host", "guest, IPv4"), |it| it.tcp(&it.world.host, it.two.address(), PORT));
    probes.insert(("host", "guest, IPv6"), |it| {
        it.world.host.output("ping -c 1 -W 0.4 fd00::3").status.success()
    });
    probes.insert(("beyond the host", "guest, routed"), |it| {
        it.world.internet.ip("route replace 172.30.0.0/24 via 192.0.2.1");
        it.tcp(&it.world.internet, it.two.address(), PORT)
    });
    probes.insert(("beyond the host", "guest, published port"), |it| {
        it.tcp(&it.world.internet, HOST, PUBLISHED)
    });
    probes.insert(("beyond the host", "beyond the host, through us"), |it| {
        it.tcp(&it.world.internet, ELSEWHERE, PORT)
    });
    probes
}

fn check(mut stage: Stage, is_open: impl Fn(&Row) -> bool) {
    let probes = probes();
    let rows = rows();
    let keys: Vec<_> = rows.iter().map(|row| (row.0.as_str(), row.1.as_str())).collect();
    for probe in probes.keys() {
        assert!(keys.contains(probe), "docs/SECURITY.md has no row {probe:?}");
    }
    for row in &rows {
        let probe = probes.get(&(row.0.as_str(), row.1.as_str()));
        let probe = probe.unwrap_or_else(|| panic!("no probe for the row {row:?}"));
        stage.expected = is_open(row);
        assert_eq!(probe(&stage), stage.expected, "{row:?}");
    }
}

#[test]
fn by_default_the_table_of_the_document_holds() {
    check(Stage::new(Isolation::default(), false), |(_, _, default, _)| match default.as_str() {
        "open" => true,
        "closed" => false,
        other => panic!("neither open nor closed: {other}"),
    });
}

#[test]
fn with_everything_opened_only_what_the_document_names_is_open() {
    let isolation = Isolation {
        vm_to_vm: true,
        lan: true,
        metadata: true,
        host_services: [PORT, LED]
            .map(|port| HostService { protocol: Transport::Tcp, port })
            .into(),
    };
    check(Stage::new(isolation, true), |(_, _, default, opened)| match opened.as_str() {
        "`vms`" | "`lan`" | "`metadata`" | "`host:PORT`" | "`publish`" => true,
        "nothing" => false,
        "" => default == "open",
        other => panic!("nothing is opened by {other}"),
    });
}

#[test]
fn without_the_rules_the_probes_get_through_to_the_host() {
    let mut stage = Stage::new(Isolation::default(), false);
    stage.world.host.command("nft flush ruleset");
    stage.expected = true;
    for (from, to) in [
        ("guest", "the host, gateway address"),
        ("guest", "the host, another address"),
        ("guest", "the host, another port"),
        ("guest", "the host, ICMP"),
        ("guest", "the host, IPv6"),
        ("guest", "other links on the bridge"),
        ("host", "guest, IPv6"),
        ("beyond the host", "guest, routed"),
        ("beyond the host", "beyond the host, through us"),
    ] {
        assert!(probes()[&(from, to)](&stage), "{from}, {to}");
    }
}
