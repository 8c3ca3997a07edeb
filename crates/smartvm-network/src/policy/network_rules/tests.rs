use super::*;
use crate::MacAddress;
use crate::policy::{FirewallConfig, HostService, Transport};

fn network() -> NetworkRules {
    NetworkRules {
        network: InterfaceName::default_bridge(),
        subnet: Subnet::default(),
        isolation: Isolation::default(),
        egress: EgressPolicy::default(),
        only_out_of: None,
        bounds: Default::default(),
        tunnel: None,
        neighbourhood: Neighbourhood::new(["198.51.100.0/24".parse().unwrap()]),
    }
}

fn guest(number: u8) -> GuestRules {
    GuestRules {
        tap: format!("svtap{number}").parse().unwrap(),
        mac: MacAddress::local([0, 0, 0, 0, number]),
        address: Ipv4Addr::new(172, 30, 0, number),
        egress: None,
        published: Vec::new(),
        bounds: None,
        resolvers: [[10, 0, 0, 53].into()].into(),
    }
}

fn policy(text: &str) -> EgressPolicy {
    FirewallConfig::from_json(text).unwrap()
}

/// Compares with a file, and when it differs writes what would have to be in it.
#[track_caller]
fn assert_snapshot(ruleset: &Ruleset, expected: &str, name: &str) {
    let text = ruleset.to_string();
    if text != expected {
        let path = std::env::temp_dir().join(format!("{name}.nft"));
        fs_err::write(&path, &text).unwrap();
        panic!("{name} differs from the snapshot; what it is now is in {}", path.display());
    }
}

#[test]
fn everything_is_closed_by_default() {
    let rules = network().render(&[guest(2)]);
    assert_snapshot(&rules, include_str!("snapshots/default.nft"), "default");
}

#[test]
fn each_option_opens_what_it_names() {
    let mut network = network();
    network.isolation = Isolation {
        vm_to_vm: true,
        lan: false,
        metadata: true,
        host_services: vec![HostService { protocol: Transport::Udp, port: 53 }],
    };
    network.only_out_of = Some("svwg0".parse().unwrap());
    network.tunnel.clone_from(&network.only_out_of);
    network.egress = policy(
        r#"{"egress":{"defaultAction":"deny","rules":[
            {"action":"allow","to":"10.0.0.0/8","protocol":"tcp","ports":[80,443]},
            {"action":"deny","to":"0.0.0.0/0","protocol":"udp","ports":53},
            {"action":"allow","to":"1.1.1.1","comment":"\"; flush ruleset"},
            {"action":"allow","protocol":"icmp"}]}}"#,
    );
    let mut web = guest(2);
    web.egress = Some(policy(r#"{"egress":{"rules":[{"action":"deny","to":"10.0.0.0/8"}]}}"#));
    web.published =
        ["8080:80", "192.0.2.1:443:443", "53:53/udp", "81:80"].map(|it| it.parse().unwrap()).into();
    let mut other = guest(3);
    other.egress.clone_from(&web.egress);
    let rules = network.render(&[web, other, guest(4)]);
    assert_snapshot(&rules, include_str!("snapshots/opened.nft"), "opened");
}

#[test]
fn with_the_lan_opened_nothing_of_it_is_closed() {
    let unsaid = |lan| {
        let mut network = network();
        network.isolation.lan = lan;
        let rules = network.render(&[]);
        let mut chains = rules.tables.into_iter().flat_map(|table| table.chains);
        chains.find(|chain| chain.name == "unsaid").unwrap().rules
    };
    assert_eq!(unsaid(true), [Rule::new([], Action::Accept)]);
    assert!(unsaid(false).iter().any(|rule| rule.action == Action::Drop));
}

#[test]
fn the_number_of_rules_does_not_grow_with_guests() {
    let rules = |count: u8| {
        let deny = policy(r#"{"egress":{"defaultAction":"deny"}}"#);
        let guests: Vec<_> = (2..2 + count)
            .map(|it| GuestRules { egress: Some(deny.clone()), ..guest(it) })
            .collect();
        network().render(&guests).rule_count()
    };
    assert_eq!(rules(1), rules(200));
}

#[test]
fn what_a_guest_adds_is_what_a_whole_ruleset_has_for_it() {
    let mut web = guest(2);
    web.egress = Some(policy(r#"{"egress":{"defaultAction":"deny"}}"#));
    web.published = vec!["8080:80".parse().unwrap(), "192.0.2.1:443:443".parse().unwrap()];
    let whole = network().render(std::slice::from_ref(&web));
    let mut held: Vec<_> = whole
        .tables
        .iter()
        .flat_map(|table| table.sets.iter().map(|set| (table.family, &*set.name, &set.elements)))
        .filter(|(.., elements)| !elements.is_empty())
        .collect();
    let added = web.elements();
    let mut added: Vec<_> = added.iter().map(|(family, set, it)| (*family, *set, it)).collect();
    held.sort_by_key(|it| it.1);
    added.sort_by_key(|it| it.1);
    assert_eq!(held, added);
    let chains = &whole.tables[1].chains;
    assert!(chains.contains(&GuestRules::chain_of(web.egress.as_ref().unwrap())));
}
