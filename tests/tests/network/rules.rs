//! Rules in the kernel.

use std::net::Ipv4Addr;

use smartvm_network::nft::{Change, Family, Nftables, NotInForce, Verified};
use smartvm_network::policy::{
    EgressPolicy, FirewallConfig, GuestBounds, GuestRules, HostService, Isolation, Neighbourhood,
    NetworkRules, Transport,
};
use smartvm_network::{InterfaceName, MacAddress, Subnet};
use smartvm_testkit::NetNamespace;

fn network() -> NetworkRules {
    NetworkRules {
        network: InterfaceName::default_bridge(),
        subnet: Subnet::default(),
        isolation: Isolation {
            vm_to_vm: true,
            lan: false,
            metadata: true,
            host_services: vec![HostService { protocol: Transport::Tcp, port: 22 }],
        },
        egress: policy(),
        only_out_of: Some("svwg0".parse().unwrap()),
        bounds: Default::default(),
        tunnel: Some("svwg0".parse().unwrap()),
        neighbourhood: Neighbourhood::new(["198.51.100.0/24".parse().unwrap()]),
    }
}

fn policy() -> EgressPolicy {
    FirewallConfig::from_json(
        r#"{"egress":{"defaultAction":"deny","rules":[
            {"action":"allow","to":"10.0.0.0/8","protocol":"tcp","ports":[80,443]},
            {"action":"deny","to":"0.0.0.0/0","protocol":"udp","ports":53},
            {"action":"allow","to":"1.1.1.1"},
            {"action":"allow","protocol":"icmp"}]}}"#,
    )
    .unwrap()
}

fn bounds() -> GuestBounds {
    serde_json::from_str(r#"{"connections":50,"newConnectionsPerSecond":7}"#).unwrap()
}

fn guest(number: u8) -> GuestRules {
    GuestRules {
        tap: format!("svtap{number}").parse().unwrap(),
        mac: MacAddress::local([0, 0, 0, 0, number]),
        address: Ipv4Addr::new(172, 30, 0, number),
        egress: Some(policy()),
        published: ["8080:80", "192.0.2.1:443:443", "53:53/udp"]
            .map(|it| it.parse().unwrap())
            .into(),
        bounds: Some(bounds()),
        resolvers: [Ipv4Addr::new(10, 0, 0, 53)].into(),
    }
}

#[test]
fn rules_are_in_the_kernel_as_they_were_made() {
    let host = NetNamespace::new();
    let rules = network().render(&[guest(2)]);
    host.run(|| {
        let mut nftables = Nftables::open().unwrap();
        let missing = nftables.verify(&rules, Verified::Rules).unwrap_err();
        assert!(matches!(missing, NotInForce::NoTable { .. }), "{missing}");
        nftables.replace(&rules).unwrap();
        nftables.verify(&rules, Verified::Everything).unwrap();
        // Again, over what there is.
        nftables.replace(&rules).unwrap();
        nftables.verify(&rules, Verified::Everything).unwrap();
    });
    // The command takes the text, and reads the same rules in the kernel.
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), rules.to_string()).unwrap();
    NetNamespace::new().command(&format!("nft -c -f {}", file.path().display()));
    let listed = host.command("nft list ruleset");
    let listed = listed.replace(" packets 0 bytes 0", "");
    for line in rules.to_string().lines() {
        let line = line.trim();
        let shown = line
            .replace("meta l4proto tcp th", "tcp")
            .replace("meta l4proto udp th", "udp")
            .replace("ip protocol", "meta l4proto");
        // What it writes in other words: names of priorities, what it leaves out as implied.
        let other =
            ["elements", "priority", "arp ", "nfproto ipv4", "iifname .", "th sport", "ip saddr ."];
        if other.iter().all(|it| !line.contains(it)) {
            assert!(listed.contains(&shown), "{shown}\n{listed}");
        }
    }
}

#[test]
fn a_guest_is_added_and_removed_without_touching_the_rest() {
    let host = NetNamespace::new();
    host.run(|| {
        let mut nftables = Nftables::open().unwrap();
        let mut first = guest(2);
        (first.egress, first.bounds) = (None, None);
        nftables.replace(&network().render(std::slice::from_ref(&first))).unwrap();
        let second = GuestRules { published: Vec::new(), ..guest(3) };
        let chain = GuestRules::chain_of(&policy());
        let chains = second.own_chains().into_iter();
        let mut changes: Vec<_> =
            chains.map(|chain| Change::NewChain(Family::Inet, chain)).collect();
        let elements = || second.elements().into_iter();
        changes.extend(elements().map(|(family, set, it)| Change::Add(family, set, it)));
        nftables.change("smartvm-svbr0", &changes).unwrap();
        let both = network().render(&[first.clone(), second.clone()]);
        nftables.verify(&both, Verified::Everything).unwrap();
        // Nothing of a change that is refused in part is done.
        nftables.change("smartvm-svbr0", &changes).unwrap_err();
        nftables.verify(&both, Verified::Everything).unwrap();

        let mut changes: Vec<_> =
            elements().map(|(family, set, it)| Change::Remove(family, set, it)).collect();
        let last = bounds().chain_names().into_iter().chain([chain.name]);
        changes.extend(last.map(|chain| Change::DeleteChain(Family::Inet, chain)));
        nftables.change("smartvm-svbr0", &changes).unwrap();
        nftables.verify(&network().render(&[first]), Verified::Everything).unwrap();
        nftables.remove("smartvm-svbr0", &NetworkRules::FAMILIES).unwrap();
        nftables.remove("smartvm-svbr0", &NetworkRules::FAMILIES).unwrap();
    });
    assert_eq!(host.command("nft list ruleset"), "");
}

#[test]
fn whatever_others_change_in_our_table_is_noticed() {
    let host = NetNamespace::new();
    let rules = network().render(&[guest(2)]);
    let put = || {
        host.run(|| Nftables::open().unwrap().replace(&rules).unwrap());
    };
    let verify = || host.run(|| Nftables::open().unwrap().verify(&rules, Verified::Everything));
    for change in [
        "nft flush ruleset",
        "nft delete table bridge smartvm-svbr0",
        "nft flush chain inet smartvm-svbr0 to_guests",
        "nft insert rule inet smartvm-svbr0 to_host accept",
        "nft add chain inet smartvm-svbr0 more",
        "nft flush set bridge smartvm-svbr0 guests",
        "nft add element inet smartvm-svbr0 open { 172.30.0.9 . tcp . 22 }",
        "nft replace rule inet smartvm-svbr0 egress handle HANDLE counter accept",
    ] {
        put();
        verify().unwrap();
        let listed = host.command("nft -a list chain inet smartvm-svbr0 egress");
        let last = listed.lines().rfind(|line| line.contains("counter")).unwrap();
        let handle = last.rsplit_once("handle ").unwrap().1;
        host.command(&change.replace("HANDLE", handle));
        let error = verify().unwrap_err();
        assert_eq!(error.code(), "NETWORK_RULES_NOT_IN_FORCE", "{change}");
        assert!(error.hint().unwrap().contains("smartvm net reload"));
    }
}

#[test]
fn a_long_policy_and_many_guests_are_one_transaction() {
    let host = NetNamespace::new();
    let mut network = network();
    let rule = |number: u16| {
        let [high, low] = number.to_be_bytes();
        let to = format!("10.{high}.{low}.0/24");
        format!(
            r#"{{"action":"deny","to":"{to}","protocol":"tcp","ports":[80,{}]}}"#,
            1000 + number
        )
    };
    let list: Vec<_> = (0..1000).map(rule).collect();
    let text = format!(r#"{{"egress":{{"rules":[{}]}}}}"#, list.join(","));
    network.egress = FirewallConfig::from_json(&text).unwrap();
    let address = |number: u16| {
        let [high, low] = (number + 2).to_be_bytes();
        Ipv4Addr::new(172, 30, high, low)
    };
    let many = (0..2000_u16).map(|number| GuestRules {
        tap: format!("svtap{number}").parse().unwrap(),
        address: address(number),
        published: Vec::new(),
        ..guest(2)
    });
    let rules = network.render(&many.collect::<Vec<_>>());
    host.run(|| {
        let mut nftables = Nftables::open().unwrap();
        nftables.replace(&rules).unwrap();
        nftables.verify(&rules, Verified::Everything).unwrap();
    });
}

#[test]
fn tables_of_others_are_not_touched() {
    let host = NetNamespace::new();
    for line in [
        "nft add table inet firewalld",
        "nft add chain inet firewalld filter_FORWARD { type filter hook forward priority 10 ; policy drop ; }",
        "nft add table ip nat",
        "nft add chain ip nat DOCKER",
        "nft add table bridge filter",
        "nft add table inet smartvm-svbr1",
    ] {
        host.command(line);
    }
    let before = host.command("nft list ruleset");
    host.run(|| {
        let mut nftables = Nftables::open().unwrap();
        let rules = network().render(&[guest(2)]);
        nftables.replace(&rules).unwrap();
        nftables.verify(&rules, Verified::Everything).unwrap();
        nftables.remove("smartvm-svbr0", &NetworkRules::FAMILIES).unwrap();
    });
    assert_eq!(host.command("nft list ruleset"), before);
}
