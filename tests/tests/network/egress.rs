//! Where guests may connect to.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

use smartvm_network::NetworkReport;
use smartvm_network::policy::{EgressPolicy, FirewallConfig};

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
    world.host.ip("addr add 198.51.100.2/24 dev svwg0");
    assert!(guest.tcp("198.51.100.1".parse().unwrap(), 80));
    assert!(guest.no_tcp(INTERNET, 80));
}
