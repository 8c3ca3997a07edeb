//! The comparison can fail: whatever rule is missing or reversed is noticed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use smartvm_network::nft::{Action, Match, Rule, Ruleset};
use smartvm_network::policy::{
    EgressPolicy, FirewallConfig, GuestBounds, GuestRules, HostService, Isolation, Neighbourhood,
    NetworkRules, Transport,
};
use smartvm_network::{InterfaceName, MacAddress, Subnet};
use smartvm_nftmodel::{Attempt, Host, Oracle, Scene, chance};

/// What another rule closes as well: one of them alone may be missing.
const CLOSED_TWICE: [&str; 6] = [
    "bridge from_guest: counter drop",
    "bridge to_host: iifgroup 1142616456 goto only_ip",
    "inet guard_guests: ip saddr != 172.30.0.0/24 counter drop",
    "inet guard_guests: meta nfproto != ipv4 counter drop",
    "inet open_connections: counter drop",
    "inet to_guests: meta nfproto != ipv4 counter drop",
];
/// What accepts where the end of the chain does, and counts.
const ACCEPTS_AT_THE_END: [&str; 4] = [
    "bridge arp_frames: accept",
    "bridge ip_frames: accept",
    "inet egress: counter return",
    "inet unsaid: accept",
];
/// What leads to bounds of a guest's own, which does the same in the model as those of its network.
const LEADS_TO_THE_SAME: [&str; 1] = ["inet begins: ip saddr vmap @bounds"];
/// Ranges of the neighbourhood that are closed before: what is to everybody is no matter of routes.
const NEVER_COME_SO_FAR: [&str; 2] = ["169.254.0.0/16", "224.0.0.0/4"];
/// What leads to where all is dropped that passes it.
const LEADS_TO_A_DROP: &str = "bridge across: oifgroup 1142616456 goto among";

fn policy(text: &str) -> EgressPolicy {
    FirewallConfig::from_json(text).unwrap()
}

fn scene(isolation: Isolation, only_out_of: Option<&str>, bridge_calls_ip: bool) -> Scene {
    let resolvers = [[10, 1, 0, 1], [169, 254, 1, 1], [169, 254, 169, 254]].map(Into::into).into();
    let guest = |number: u8, egress, published: &[&str]| GuestRules {
        tap: format!("svtap{number}").parse().unwrap(),
        mac: MacAddress::local([0, 0, 0, 0, number]),
        address: Ipv4Addr::new(172, 30, 0, number),
        egress,
        published: published.iter().map(|it| it.parse().unwrap()).collect(),
        bounds: None,
        resolvers: BTreeSet::clone(&resolvers),
    };
    let own = r#"{"egress":{"defaultAction":"deny","rules":[
        {"action":"deny","to":"10.1.0.1"},
        {"action":"deny","to":"10.1.0.2","protocol":"tcp","ports":53},
        {"action":"deny","to":"10.2.0.1","protocol":"udp","ports":443},
        {"action":"allow","protocol":"tcp","ports":[80,443]},
        {"action":"allow","to":"10.0.0.0/8"}]}}"#;
    let networks = r#"{"egress":{"rules":[
        {"action":"allow","to":"10.1.0.0/16","protocol":"udp"},
        {"action":"deny","protocol":"udp","ports":53},
        {"action":"deny","to":"10.1.0.2","protocol":"tcp","ports":443},
        {"action":"deny","to":"192.0.2.2","protocol":"tcp","ports":80},
        {"action":"deny","to":"192.0.2.2","protocol":"icmp"}]}}"#;
    Scene {
        network: NetworkRules {
            network: InterfaceName::default_bridge(),
            subnet: Subnet::default(),
            isolation,
            egress: policy(networks),
            only_out_of: only_out_of.map(|name| name.parse().unwrap()),
            bounds: GuestBounds::default(),
            tunnel: None,
            neighbourhood: Neighbourhood::default(),
        },
        guests: vec![
            guest(2, Some(policy(own)), &["8080:80", "192.0.2.1:443:443"]),
            guest(3, None, &["5353:53/udp", "192.0.2.11:80:80"]),
        ],
        uplink: "uplink".parse().unwrap(),
        host_addresses: chance::HOST.into(),
        bridge_calls_ip,
        forwards_for_us: !bridge_calls_ip,
        led: chance::LED.into(),
    }
}

fn scenes() -> Vec<Scene> {
    let open = Isolation {
        vm_to_vm: true,
        lan: true,
        metadata: true,
        host_services: vec![HostService { protocol: Transport::Udp, port: 53 }],
    };
    let mut tunnelled = scene(Isolation::default(), None, false);
    tunnelled.network.tunnel = Some(tunnelled.uplink.clone());
    vec![
        scene(Isolation::default(), None, false),
        scene(open.clone(), None, false),
        scene(open.clone(), Some("svwg0"), false),
        scene(open, None, true),
        scene(Isolation { metadata: true, ..Isolation::default() }, None, false),
        tunnelled,
    ]
}

/// The same packets each time.
fn attempts(scene: &Scene) -> Vec<Attempt> {
    let mut runner = TestRunner::deterministic();
    let strategy = chance::attempt(scene);
    (0..14_000).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// Whether one of the packets goes another way than it should.
fn is_noticed(scene: &Scene, rules: &Ruleset, attempts: &[Attempt]) -> bool {
    let (host, oracle) = (Host::new(scene, rules), Oracle::new(scene));
    attempts.iter().any(|attempt| host.arrival(attempt) != oracle.arrival(attempt))
}

/// Changes the rules of each scene one by one, and returns those for which none of the packets went
/// another way, in no scene that has the rule.
fn unnoticed(change: fn(&mut Vec<Rule>, usize)) -> BTreeSet<String> {
    let (mut noticed, mut unnoticed) = (BTreeSet::new(), BTreeSet::new());
    for scene in scenes() {
        let rules = scene.rules();
        let attempts = attempts(&scene);
        assert!(!is_noticed(&scene, &rules, &attempts));
        for (number, table) in rules.tables.iter().enumerate() {
            for (place, chain) in table.chains.iter().enumerate() {
                for (index, rule) in chain.rules.iter().enumerate() {
                    let mut changed = rules.clone();
                    change(&mut changed.tables[number].chains[place].rules, index);
                    let name = format!("{} {}: {rule}", table.family, chain.name);
                    if is_noticed(&scene, &changed, &attempts) {
                        noticed.insert(name);
                    } else {
                        unnoticed.insert(name);
                    }
                }
            }
        }
    }
    assert!(noticed.len() > 40, "{noticed:?}");
    unnoticed.difference(&noticed).cloned().collect()
}

fn set(rules: &[&str]) -> BTreeSet<String> {
    rules.iter().map(ToString::to_string).collect()
}

#[test]
fn each_rule_that_is_missing_is_noticed() {
    let unnoticed = unnoticed(|rules, index| drop(rules.remove(index)));
    let expected = [&CLOSED_TWICE[..], &ACCEPTS_AT_THE_END, &LEADS_TO_THE_SAME].concat();
    assert_eq!(unnoticed, set(&expected));
}

#[test]
fn each_rule_that_is_reversed_is_noticed() {
    let unnoticed = unnoticed(|rules, index| {
        let action = &mut rules[index].action;
        *action = if *action == Action::Drop { Action::Accept } else { Action::Drop };
    });
    // It leads to what drops the same.
    let mut expected = set(&CLOSED_TWICE);
    expected.remove(CLOSED_TWICE[1]);
    expected.insert(LEADS_TO_A_DROP.to_owned());
    assert_eq!(unnoticed, expected);
}

#[test]
fn each_flow_that_is_missing_from_a_set_is_noticed() {
    let (mut noticed, mut unnoticed) = (BTreeSet::new(), BTreeSet::new());
    for scene in scenes() {
        let rules = scene.rules();
        let attempts = attempts(&scene);
        for (number, table) in rules.tables.iter().enumerate() {
            for (place, chain) in table.chains.iter().enumerate() {
                for (index, rule) in chain.rules.iter().enumerate() {
                    let Some(Match::Flows(flows)) = rule.matches.last() else { continue };
                    for left_out in 0..flows.len() {
                        let mut changed = rules.clone();
                        let last =
                            changed.tables[number].chains[place].rules[index].matches.last_mut();
                        let Some(Match::Flows(flows)) = last else { panic!("it has some") };
                        let name = format!("{} of {rule}", flows.remove(left_out));
                        if is_noticed(&scene, &changed, &attempts) {
                            noticed.insert(name);
                        } else {
                            unnoticed.insert(name);
                        }
                    }
                }
            }
        }
    }
    assert_eq!(noticed.len(), 9, "{noticed:?}");
    let unnoticed = unnoticed.difference(&noticed).filter_map(|name| name.split(' ').next());
    assert_eq!(unnoticed.collect::<Vec<_>>(), NEVER_COME_SO_FAR);
}
