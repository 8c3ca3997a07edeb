//! Where guests may connect to.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

use smartvm_network::policy::{EgressPolicy, FirewallConfig};
use smartvm_network::{Network, NetworkReport};

use super::world::{INTERNET, INTERNET_PRIVATE, Server, World};

fn policy(rules: &str) -> EgressPolicy {
    FirewallConfig::from_json(&format!(r#"{{"egress":{rules}}}"#)).unwrap()
}

#[test]
fn both_the_networks_policy_and_the_guests_own_must_allow() {
    let mut world = World::new();
    world.options.egress = policy(r#"{"rules":[{"action":"deny","to":"10.0.0.0/8"}]}"#);
    let network = world.open();
    let _servers = [Server::new(&world.internet, 80), Server::new(&world.internet, 81)];
    let mut request = world.request("narrow");
    request.egress = Some(policy(
        r#"{"defaultAction":"deny","rules":[
            {"action":"allow","protocol":"tcp","ports":80},{"action":"allow","protocol":"icmp"}]}"#,
    ));
    let narrow = world.attach(&network, &request);
    let wide = world.attach(&network, &world.request("wide"));
    assert!(wide.tcp(INTERNET, 80) && wide.tcp(INTERNET, 81) && wide.udp(INTERNET, 80));
    assert!(wide.no_tcp(INTERNET_PRIVATE, 80));
    assert!(narrow.tcp(INTERNET, 80) && narrow.ping("192.0.2.2"));
    assert!(narrow.no_tcp(INTERNET, 81) && narrow.no_udp(INTERNET, 80));
    assert!(narrow.no_tcp(INTERNET_PRIVATE, 80), "the network's policy holds for all");
    // What each rule has decided.
    let reports = world.host.run(|| NetworkReport::all(&world.options.state_dir).unwrap());
    let [report] = &reports[..] else { panic!("one network") };
    assert!(report.rules_in_force && report.bridge_up && report.guests.len() == 2);
    let guest = report.guests.iter().find(|guest| guest.vm == "narrow").unwrap();
    let policies = world.host.run(|| report.policies(guest).unwrap());
    let own: Vec<u64> = policies.own.unwrap().iter().map(|rule| rule.packets).collect();
    assert!(own.iter().all(|packets| *packets > 0), "{own:?}");
    assert_eq!(policies.network.len(), 2);
    assert!(policies.network.iter().all(|rule| rule.packets > 0), "{:?}", policies.network);
}

#[test]
fn rules_that_the_kernel_asks_at_once_decide_and_count_each_for_itself() {
    let mut world = World::new();
    let other = |number: u32| format!(r#"{{"action":"deny","to":"10.77.{number}.0/24"}}"#);
    let others: Vec<_> = (0..250).map(other).collect();
    let networks = format!(
        r#"{{"rules":[{},{{"action":"deny","to":"{INTERNET_PRIVATE}"}}]}}"#,
        others.join(",")
    );
    world.options.egress = policy(&networks);
    let network = world.open();
    let _servers = [80, 81, 82, 83].map(|port| Server::new(&world.internet, port));
    let mut request = world.request("web");
    // In turn, with what cannot meet them between.
    request.egress = Some(policy(&format!(
        r#"{{"defaultAction":"deny","rules":[
            {{"action":"allow","to":"{INTERNET}","protocol":"tcp","ports":80}},
            {{"action":"deny","to":"10.78.0.0/16","protocol":"tcp"}},
            {{"action":"allow","to":"{INTERNET}","protocol":"udp","ports":81}},
            {{"action":"deny","to":"10.78.0.0/16","protocol":"udp"}},
            {{"action":"allow","to":"192.0.2.0/24","protocol":"tcp","ports":82}},
            {{"action":"allow","to":"10.0.0.0/8"}},
            {{"action":"allow","to":"255.255.255.255"}}]}}"#
    )));
    let guest = world.attach(&network, &request);
    assert!(guest.tcp(INTERNET, 80) && guest.no_udp(INTERNET, 80));
    assert!(guest.udp(INTERNET, 81) && guest.no_tcp(INTERNET, 81));
    assert!(guest.tcp(INTERNET, 82) && guest.no_tcp(INTERNET, 83));
    assert!(guest.no_tcp(INTERNET_PRIVATE, 80), "the network's policy holds for all");
    let rules = world.host.command("nft list ruleset");
    for set in [
        "meta l4proto . th dport . ip daddr { tcp . 80 . 192.0.2.2 counter packets 1 ",
        "meta l4proto . ip daddr { tcp . 10.78.0.0/16 counter packets 0 bytes 0",
        "ip daddr { 10.0.0.0/8 counter packets 1",
        "10.77.249.0/24 counter packets 0 bytes 0 } drop",
    ] {
        assert!(rules.contains(set), "{set}: {rules}");
    }
    let reports = world.host.run(|| NetworkReport::all(&world.options.state_dir).unwrap());
    let [report] = &reports[..] else { panic!("one network") };
    assert!(report.rules_in_force, "{:?}", report.rules_problem);
    let policies = world.host.run(|| report.policies(&report.guests[0]).unwrap());
    let (own, networks) = (policies.own.unwrap(), policies.network);
    let counted: Vec<bool> = own.iter().map(|rule| rule.packets > 0).collect();
    assert_eq!(counted, [true, false, true, false, true, true, false, true], "{own:?}");
    assert!(own[0].packets == 1 && own[0].bytes >= 40, "{:?}", own[0]);
    assert_eq!(networks.len(), 252);
    let counted: Vec<_> = (0..252).filter(|place| networks[*place].packets > 0).collect();
    assert_eq!(counted, [250, 251]);
    // Gone with the guest, and the network goes on.
    let tap = guest.attachment.tap.clone();
    drop(guest);
    world.host.run(|| network.detach(&tap).unwrap());
    assert!(!world.host.command("nft list ruleset").contains("10.78.0.0"));
}

#[test]
fn a_change_while_it_runs_cuts_what_is_no_longer_allowed_and_leaves_the_rest() {
    let world = World::new();
    let network = world.open();
    let _servers = [Server::new(&world.internet, 80), Server::new(&world.internet, 81)];
    let guest = world.attach(&network, &world.request("web"));
    let connect = |address: Ipv4Addr, port| {
        guest.inside.namespace.run(|| {
            let address = SocketAddrV4::new(address, port).into();
            TcpStream::connect_timeout(&address, Duration::from_secs(5)).unwrap()
        })
    };
    let (mut kept, mut cut) = (connect(INTERNET, 80), connect(INTERNET, 81));
    let talk = |stream: &mut TcpStream, patience| {
        stream.set_read_timeout(Some(patience)).unwrap();
        stream.write_all(b"ping").is_ok() && stream.read_exact(&mut [0; 4]).is_ok()
    };
    let (long, short) = (Duration::from_secs(5), Duration::from_millis(400));
    assert!(talk(&mut kept, long) && talk(&mut cut, long));
    let only_80 =
        r#"{"defaultAction":"deny","rules":[{"action":"allow","protocol":"tcp","ports":80}]}"#;
    let tap = &guest.attachment.tap;
    let set = |policy| world.host.run(|| network.set_guest_policy(tap, policy).unwrap());
    assert_eq!(set(Some(policy(only_80))), 1);
    assert!(talk(&mut kept, long), "what is allowed goes on");
    assert!(!talk(&mut cut, short), "what was established is cut");
    assert!(guest.no_tcp(INTERNET, 81) && guest.tcp(INTERNET, 80));
    // The same policy again, another, none: nothing is left of the ones before.
    assert_eq!(set(Some(policy(only_80))), 0);
    assert!(set(Some(policy(r#"{"defaultAction":"deny"}"#))) >= 1);
    assert!(!talk(&mut kept, short) && guest.no_tcp(INTERNET, 80));
    assert_eq!(set(None), 0);
    assert!(guest.tcp(INTERNET, 81));
    assert!(!world.host.command("nft list ruleset").contains("egress-"));
    // The network's own.
    let mut again = connect(INTERNET, 81);
    assert!(talk(&mut again, long));
    let closed = policy(r#"{"defaultAction":"deny"}"#);
    let ended = world.host.run(|| network.set_policy(Default::default(), closed).unwrap());
    assert!(ended >= 1 && !talk(&mut again, short));
}

#[test]
fn guests_with_one_policy_share_its_chain() {
    let world = World::new();
    let network = world.open();
    let deny = policy(r#"{"defaultAction":"deny"}"#);
    let attach = |vm: &str| {
        let mut request = world.request(vm);
        request.egress = Some(deny.clone());
        world.host.run(|| network.attach(&request).unwrap().tap)
    };
    let (one, two) = (attach("one"), attach("two"));
    let chains = || world.host.command("nft list ruleset").matches("chain egress-").count();
    assert_eq!(chains(), 1);
    world.host.run(|| network.detach(&one).unwrap());
    assert_eq!(chains(), 1);
    world.host.run(|| network.detach(&two).unwrap());
    assert_eq!(chains(), 0);
}

#[test]
fn only_the_named_link_is_left_by() {
    let mut world = World::new();
    world.options.only_out_of = Some("svwg0".parse().unwrap());
    let network = world.open();
    let _server = Server::new(&world.internet, 80);
    let guest = world.attach(&network, &world.request("web"));
    // It does not exist: nothing leaves.
    assert!(guest.no_tcp(INTERNET, 80) && guest.no_udp(INTERNET, 80) && guest.no_ping("192.0.2.2"));
    world.host.connect("svwg0", &world.internet, "peer0");
    world.internet.ip("addr add 198.51.100.1/24 dev peer0");
    world.host.ip("addr add 198.51.100.2/32 dev svwg0");
    world.host.ip("route add 198.51.100.1/32 dev svwg0 src 198.51.100.2");
    // Answers come in by a link that the network did not know of until somebody looks.
    world.host.run(|| assert!(Network::reload(&world.options.state_dir, network.name()).unwrap()));
    assert!(guest.tcp("198.51.100.1".parse().unwrap(), 80));
    assert!(guest.no_tcp(INTERNET, 80));
}
