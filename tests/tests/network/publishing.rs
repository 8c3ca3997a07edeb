//! Ports of the host that lead to guests.

use std::net::TcpListener;

use super::world::{HOST, HOST_OTHER, INTERNET, Server, World, no_tcp_from, tcp_from, udp_from};

#[test]
fn a_published_port_is_reached_from_outside_and_from_the_host() {
    let world = World::new();
    let network = world.open();
    let mut request = world.request("web");
    request.published =
        ["8080:80", "5353:53/udp", "192.0.2.11:443:81"].map(|it| it.parse().unwrap()).into();
    let guest = world.attach(&network, &request);
    let inside = &guest.inside.namespace;
    let _servers = [Server::new(inside, 80), Server::new(inside, 53), Server::new(inside, 81)];
    for from in [&world.internet, &world.host] {
        assert!(tcp_from(from, HOST, 8080) && tcp_from(from, HOST_OTHER, 8080));
        assert!(udp_from(from, HOST, 5353));
        assert!(tcp_from(from, HOST_OTHER, 443));
        assert!(no_tcp_from(from, HOST, 443), "at its address only");
        assert!(no_tcp_from(from, HOST, 5353), "by its protocol only");
    }
    // What is not published stays closed, also to who knows the way.
    world.internet.ip("route add 172.30.0.0/24 via 192.0.2.1");
    assert!(no_tcp_from(&world.internet, guest.address(), 80));
    assert!(no_tcp_from(&world.internet, guest.address(), 53));
    // Another guest does not reach it this way.
    let other = world.attach(&network, &world.request("other"));
    assert!(other.no_tcp(HOST, 8080) && other.no_tcp(guest.attachment.gateway, 8080));
    // Replies need no rule, and its own connections go on as any other's.
    let _server = Server::new(&world.internet, 80);
    assert!(guest.tcp(INTERNET, 80));
    world.host.run(|| network.detach(&guest.attachment.tap).unwrap());
    assert!(no_tcp_from(&world.internet, HOST, 8080));
}

#[test]
fn a_port_that_is_in_use_is_refused_and_nothing_is_left_of_the_attempt() {
    let world = World::new();
    let network = world.open();
    let attach = |vm: &str, ports: &[&str]| {
        let mut request = world.request(vm);
        request.published = ports.iter().map(|it| it.parse().unwrap()).collect();
        world.host.run(|| network.attach(&request))
    };
    let first = attach("first", &["8080:80", "192.0.2.1:443:443"]).unwrap();
    let before = world.host.command("nft list ruleset");
    for ports in [
        &["8080:80"][..],
        &["192.0.2.1:8080:80"],
        &["443:1"],
        &["9000:1", "9001:1", "8080:1"],
        &["9000:1", "9000:2"],
        &["9000:1", "192.0.2.1:9000:2"],
    ] {
        let error = attach("second", ports).unwrap_err();
        assert_eq!(error.code(), "PORT_IN_USE", "{ports:?}: {error}");
        assert!(error.hint().is_some());
    }
    let listener = world.host.run(|| TcpListener::bind("0.0.0.0:9000").unwrap());
    let error = attach("second", &["9000:80"]).unwrap_err();
    assert_eq!(error.code(), "PORT_IN_USE");
    assert!(error.hint().unwrap().contains("ss -lnp sport = :9000"));
    drop(listener);
    assert_eq!(attach("second", &["203.0.113.9:80:80"]).unwrap_err().code(), "PORT_UNAVAILABLE");
    assert_eq!(world.host.command("nft list ruleset"), before);
    attach("second", &["9000:80", "8080:80/udp", "192.0.2.11:443:1"]).unwrap();
    // Freed with its guest.
    world.host.run(|| network.detach(&first.tap).unwrap());
    attach("third", &["8080:80", "192.0.2.1:443:443"]).unwrap();
}
