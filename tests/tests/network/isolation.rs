//! Who reaches whom.

use smartvm_network::Network;
use smartvm_network::policy::{HostService, Isolation, Transport};

use super::world::{
    HOST, HOST_OTHER, INTERNET, INTERNET_PRIVATE, LONG, METADATA, SHORT, Server, World, connect,
    no_tcp_from, talk, tcp_from,
};

#[test]
fn a_guest_reaches_what_lies_beyond_the_host_and_nothing_else() {
    let world = World::new();
    let network = world.open();
    let _servers = [Server::new(&world.internet, 80), Server::new(&world.host, 80)];
    let guest = world.attach(&network, &world.request("web"));
    assert!(guest.tcp(INTERNET, 80) && guest.udp(INTERNET, 80) && guest.ping("192.0.2.2"));
    assert!(guest.no_tcp(INTERNET_PRIVATE, 80));
    // The host, by each of its addresses.
    for address in [guest.attachment.gateway, HOST, HOST_OTHER] {
        assert!(guest.no_tcp(address, 80), "{address}");
        assert!(guest.no_udp(address, 80), "{address}");
        assert!(guest.no_ping(&address.to_string()), "{address}");
    }
    // The cloud's secrets.
    assert!(guest.no_tcp(METADATA, 80) && guest.no_ping("169.254.169.254"));
    // The host reaches its guest.
    let _inside = Server::new(&guest.inside.namespace, 22);
    assert!(tcp_from(&world.host, guest.address(), 22));
    // Nobody from beyond does, not even who knows the way.
    world.internet.ip("route add 172.30.0.0/24 via 192.0.2.1");
    assert!(no_tcp_from(&world.internet, guest.address(), 22));
}

#[test]
fn guests_do_not_reach_each_other() {
    let world = World::new();
    let network = world.open();
    let (one, two) = (
        world.attach(&network, &world.request("one")),
        world.attach(&network, &world.request("two")),
    );
    let _servers = [Server::new(&two.inside.namespace, 80), Server::new(&world.internet, 80)];
    assert!(one.no_tcp(two.address(), 80) && one.no_udp(two.address(), 80));
    // With the neighbour's hardware address known, so that nothing depends on ARP.
    let two_mac = two.attachment.mac;
    one.inside.namespace.ip(&format!("neigh replace {} lladdr {two_mac} dev eth0", two.address()));
    assert!(one.no_tcp(two.address(), 80) && one.no_ping(&two.address().to_string()));
    // Through the gateway.
    one.inside.namespace.ip(&format!(
        "route add {}/32 via {}",
        two.address(),
        one.attachment.gateway
    ));
    assert!(one.no_tcp(two.address(), 80));
    // By IPv6 link-local addresses, which every guest's kernel gives itself.
    let [a, b, c, d, e, f] = two_mac.octets();
    let a = a ^ 2;
    let link_local = format!("fe80::{a:02x}{b:02x}:{c:02x}ff:fe{d:02x}:{e:02x}{f:02x}");
    assert!(one.no_ping(&format!("{link_local}%eth0")));
    // To everybody: a namespace answers itself, so it is looked at what the other was sent.
    for everyone in ["ff02::1%eth0", "-b 255.255.255.255", "-b 172.30.0.255", "-I eth0 224.0.0.1"] {
        let _ = one.inside.namespace.output(&format!("ping -c 1 -W 0.1 {everyone}"));
    }
    one.inside.namespace.ip("neigh flush dev eth0");
    assert!(one.no_tcp("172.30.0.99".parse().unwrap(), 80), "asks everybody who has the address");
    assert!(one.tcp(INTERNET, 80), "what was sent before has arrived, or never will");
    assert_eq!(two.heard_from(&one), 0);
    assert_eq!(one.heard_from(&two), 0);
}

#[test]
fn what_is_opened_is_open_and_the_rest_stays_closed() {
    let mut world = World::new();
    world.options.isolation = Isolation {
        vm_to_vm: true,
        lan: true,
        metadata: true,
        host_services: vec![HostService { protocol: Transport::Tcp, port: 80 }],
    };
    let network = world.open();
    let (one, two) = (
        world.attach(&network, &world.request("one")),
        world.attach(&network, &world.request("two")),
    );
    let _servers = [
        Server::new(&two.inside.namespace, 80),
        Server::new(&world.host, 80),
        Server::new(&world.host, 81),
        Server::new(&world.internet, 80),
    ];
    assert!(one.tcp(two.address(), 80) && one.udp(two.address(), 80));
    assert!(one.ping(&two.address().to_string()));
    assert!(one.tcp(METADATA, 80));
    assert!(one.tcp(one.attachment.gateway, 80) && one.tcp(HOST, 80));
    assert!(one.no_tcp(HOST, 81) && one.no_udp(HOST, 80));
    // Closed again, while it runs.
    world.host.run(|| network.set_policy(Isolation::default(), Default::default()).unwrap());
    assert!(one.no_tcp(two.address(), 80) && one.no_tcp(METADATA, 80) && one.no_tcp(HOST, 80));
    assert!(one.tcp(INTERNET, 80));
}

/// F11: what is established passes `to_host`, so that a policy alone would not end it.
#[test]
fn what_a_policy_closes_is_cut_also_to_the_host_and_to_other_guests() {
    let mut world = World::new();
    let service = |port| HostService { protocol: Transport::Tcp, port };
    let open = Isolation {
        vm_to_vm: true,
        lan: false,
        metadata: true,
        host_services: vec![service(80), service(81)],
    };
    world.options.isolation = open.clone();
    let network = world.open();
    let (one, two) = (
        world.attach(&network, &world.request("one")),
        world.attach(&network, &world.request("two")),
    );
    // Through the gateway, so that the host tracks it.
    let gateway = one.attachment.gateway;
    one.inside.namespace.ip(&format!("route add {}/32 via {gateway}", two.address()));
    let _servers = [
        Server::new(&two.inside.namespace, 80),
        Server::new(&two.inside.namespace, 22),
        Server::new(&world.host, 80),
        Server::new(&world.host, 81),
        Server::new(&world.internet, 80),
    ];
    let targets = [
        (HOST, 80),
        (gateway, 80),
        (METADATA, 80),
        (two.address(), 80),
        (INTERNET, 80),
        (HOST, 81),
    ];
    let mut streams = targets.map(|(to, port)| connect(&one, to, port));
    assert!(streams.iter_mut().all(|stream| talk(stream, LONG)));
    let mut to_guest =
        world.host.run(|| std::net::TcpStream::connect((two.address(), 22)).unwrap());
    let set =
        |isolation| world.host.run(|| network.set_policy(isolation, Default::default()).unwrap());
    assert_eq!(set(open.clone()), 0, "nothing that is allowed is cut");
    let closed = Isolation { host_services: vec![service(81)], ..Isolation::default() };
    assert_eq!(set(closed), 4);
    let talks = streams.each_mut().map(|stream| talk(stream, SHORT));
    assert_eq!(talks, [false, false, false, false, true, true]);
    assert!(talk(&mut to_guest, LONG), "what the host has begun goes on");
    // Not even when it is open again: it was ended, not held up.
    set(open);
    assert!(one.tcp(HOST, 80) && one.tcp(two.address(), 80));
}

#[test]
fn loopback_of_the_host_stays_its_own_even_with_route_localnet() {
    let world = World::new();
    let network = world.open();
    world.host.command("sysctl -q net.ipv4.conf.all.route_localnet=1");
    let _server = Server::new(&world.host, 80);
    let guest = world.attach(&network, &world.request("web"));
    guest.inside.namespace.command("sysctl -q net.ipv4.conf.all.route_localnet=1");
    guest.inside.namespace.ip("addr del 127.0.0.1/8 dev lo");
    guest.inside.namespace.ip("route flush table local 127.0.0.0/8");
    guest.inside.namespace.ip(&format!("route add 127.0.0.0/8 via {}", guest.attachment.gateway));
    assert!(guest.no_tcp([127, 0, 0, 1].into(), 80));
}

#[test]
fn a_guest_has_no_ipv6_beyond_itself() {
    let world = World::new();
    world.host.command("sysctl -q net.ipv6.conf.all.forwarding=1");
    let network = world.open();
    let guest = world.attach(&network, &world.request("web"));
    world.host.command("sysctl -q net.ipv6.conf.svbr0.disable_ipv6=0");
    world.host.ip("addr add fd00::1/64 dev svbr0 nodad");
    world.internet.ip("route add fd00::/64 via 2001:db8::1");
    guest.inside.namespace.ip("addr add fd00::2/64 dev eth0 nodad");
    guest.inside.namespace.ip("route add default via fd00::1");
    for target in ["fd00::1", "2001:db8::1", "2001:db8::2"] {
        assert!(guest.no_ping(target), "{target}");
    }
    let from_host = world.host.output("ping -c 1 -W 0.4 fd00::2");
    assert!(!from_host.status.success());
    let ipv6 = |frame: &&Vec<u8>| frame.get(12..14) == Some(&[0x86, 0xdd][..]);
    assert_eq!(guest.inside.heard().iter().filter(ipv6).count(), 0, "no router advertises itself");
}

/// What is still on its way to one that has gone.
#[test]
fn a_packet_for_a_guest_that_has_ended_reaches_no_other() {
    let world = World::new();
    let network = world.open();
    let [gone, other] = ["gone", "other"].map(|vm| world.attach(&network, &world.request(vm)));
    let (address, mac) = (gone.address(), gone.attachment.mac);
    let tap = gone.attachment.tap.clone();
    drop(gone);
    world.host.run(|| network.detach(&tap).unwrap());
    // The host remembers it, as it does for a while.
    world.host.ip(&format!("neigh replace {address} lladdr {mac} dev svbr0 nud permanent"));
    let heard = |mac: [u8; 6]| {
        let frames = other.inside.heard();
        frames.iter().filter(|frame| frame.starts_with(&mac)).count()
    };
    let send = || {
        let before = heard(other.attachment.mac.octets());
        world.host.run(|| {
            let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
            for to in [address, other.address()] {
                socket.send_to(b"late", (to, 9)).unwrap();
            }
        });
        // What was sent later has come.
        smartvm_testkit::eventually(LONG, "the other guest hears its own packet", || {
            (heard(other.attachment.mac.octets()) > before).then_some(())
        });
    };
    let _server = Server::new(&other.inside.namespace, 80);
    assert!(tcp_from(&world.host, other.address(), 80));
    send();
    assert_eq!(heard(mac.octets()), 0);
    // That it would be heard: the bridge gives to all links what it knows none for.
    world.host.command(&format!("bridge link set dev {} flood on", other.attachment.tap));
    send();
    assert_eq!(heard(mac.octets()), 1);
    world.host.run(|| Network::reload(&world.options.state_dir, network.name()).unwrap());
    send();
    assert_eq!(heard(mac.octets()), 1);
}
