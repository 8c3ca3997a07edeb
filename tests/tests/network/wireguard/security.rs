//! The part of docs/SECURITY.md about WireGuard, row by row, with real packets.

use smartvm_network::nft::Nftables;
use smartvm_network::policy::{EgressPolicy, Isolation, NetworkRules};
use smartvm_network::{InterfaceName, Subnet};
use smartvm_testkit::{PacketCapture, Traffic};

use super::world::{DEADLINE, World, egress, existing};

const DOCUMENT: &str = include_str!("../../../../docs/SECURITY.md");

/// A row: the moment, through the tunnel, another way.
type Row = (String, bool, bool);

fn rows() -> Vec<Row> {
    let section = DOCUMENT.split("## With WireGuard").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let lines = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let is_open = |cell: &str| match cell {
        "open" => true,
        "closed" => false,
        other => panic!("neither open nor closed: {other}"),
    };
    let row = |line: &str| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [moment, tunnel, other] = cells[..] else { panic!("three cells: {line}") };
        (moment.to_owned(), is_open(tunnel), is_open(other))
    };
    lines.map(row).collect()
}

fn set_rules(world: &World, closed: bool) {
    let rules = NetworkRules {
        network: InterfaceName::default_bridge(),
        subnet: Subnet::default(),
        isolation: Isolation::default(),
        egress: EgressPolicy::default(),
        only_out_of: closed.then(|| "wgx0".parse().unwrap()),
        bounds: Default::default(),
        tunnel: Some("wgx0".parse().unwrap()),
        neighbourhood: smartvm_network::policy::Neighbourhood::default(),
    };
    let rules = rules.render(&[]);
    world.host.run(|| Nftables::open().unwrap().replace(&rules).unwrap());
}

fn ensure(world: &World) {
    world.host.run(|| egress().ensure(&existing()).unwrap());
}

fn lines(world: &World, lines: &[&str]) {
    for line in lines {
        world.host.command(line);
    }
}

/// Brings a host on which everything was set up to the moment of a row.
fn bring_about(moment: &str, world: &World, traffic: &Traffic) {
    match moment {
        "the rules are there, and no tunnel yet" => world.host.run(|| egress().remove().unwrap()),
        "the tunnel is set up" => {}
        "the tunnel was set up while a connection stood" => {
            world.host.run(|| egress().remove().unwrap());
            set_rules(world, false);
            traffic.expect_answer("internet", DEADLINE);
            set_rules(world, true);
            ensure(world);
        }
        "the owner was killed" => {
            world.host.run(|| egress().remove().unwrap());
            let mut owner = world.host.run_apart(|| egress().ensure(&existing()).unwrap());
            owner.kill().unwrap();
            owner.wait().unwrap();
        }
        "the interface is down" => lines(world, &["ip link set wgx0 down"]),
        "the interface is gone" => lines(world, &["ip link del wgx0"]),
        "the interface is back, and nobody has ensured it" => {
            lines(world, &["ip link set wgx0 down", "ip link set wgx0 up"]);
        }
        "the next VM starts, or `net reload`" => {
            lines(world, &["ip link set wgx0 down", "ip link set wgx0 up"]);
            ensure(world);
        }
        "the peer is silent" => {
            world.peer.ip(&format!("addr del {}/32 dev lo", super::world::WORLD));
        }
        "the routing table was emptied by another program" => {
            lines(world, &["ip route flush table 51820"]);
        }
        "the routing rules were removed by another program" => {
            lines(world, &["ip rule flush", "ip rule add lookup main priority 32766"]);
        }
        "the rules of nftables were removed by another program" => {
            lines(world, &["nft flush ruleset"]);
        }
        "the network was taken down while a guest still calls" => {
            // In the order in which a network does it: the guests' links go first.
            lines(world, &["ip link del port0", "ip link del svbr0"]);
            world.host.run(|| {
                egress().remove().unwrap();
                let table = smartvm_network::names::table(&InterfaceName::default_bridge());
                let mut nftables = Nftables::open().unwrap();
                nftables.remove(&table, &NetworkRules::FAMILIES).unwrap();
            });
        }
        other => panic!("no probe for the row {other:?}"),
    }
}

/// Whether the tunnel's end has answered a call of the last ones.
fn answers(traffic: &Traffic, expected: bool) -> bool {
    let since = traffic.calls();
    if expected {
        traffic.expect_answer("peer", DEADLINE);
    } else {
        traffic.make_calls(50);
    }
    traffic.latest("peer") > since
}

#[test]
fn with_wireguard_the_table_of_the_document_holds() {
    let rows = rows();
    assert!(rows.len() >= 13, "the table was found: {rows:?}");
    for (moment, through, other) in rows {
        let world = World::without_return();
        set_rules(&world, true);
        ensure(&world);
        let traffic = world.traffic();
        traffic.expect_answer("peer", DEADLINE);
        bring_about(&moment, &world, &traffic);
        let (capture, since) = (PacketCapture::start(&world.internet), traffic.calls());
        assert_eq!(answers(&traffic, through), through, "through the tunnel: {moment}");
        traffic.make_calls(50);
        world.flush(&capture);
        let leaked = traffic.sent(&capture, since);
        assert_eq!(!leaked.is_empty(), other, "another way: {moment}: {leaked:?}");
    }
}
