//! What other programs lead elsewhere from a port of the host is closed to guests.

use smartvm_network::policy::{EgressPolicy, FirewallConfig, Isolation};

use super::super::world::{HOST, INTERNET, LONG, SHORT, Server, World, connect, talk, tcp_from};
use super::scene::{assert_closed, container, docker, host_port, second_network, stage};

/// F4: what Docker publishes is forwarded, and never at the hook `input`.
#[test]
fn a_port_that_docker_publishes_is_closed_to_guests_as_the_hosts_others() {
    let world = World::new();
    docker(&world.host, "iptables-nft");
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
