//! A guest that speaks in another's name.

use std::net::Ipv4Addr;
use std::time::Duration;

use smartvm_network::{NetworkReport, names};
use smartvm_testkit::eventually;

use super::frames::{frame, udp};
use super::world::{Guest, INTERNET, Server, World};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 1);

/// An ARP answer: `mac` has `address`.
fn arp(mac: [u8; 6], address: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4, 0, 2];
    [&head[..], &mac, &address.octets(), &[0xff; 6], &target.octets()].concat()
}

/// How many packets the rules of a chain have dropped.
fn dropped(world: &World, chain: &str) -> u64 {
    let reports = world.host.run(|| NetworkReport::all(&world.options.state_dir).unwrap());
    let of_chain =
        reports[0].refused.iter().filter(|it| it.chain == chain && it.rule.ends_with("drop"));
    of_chain.map(|it| it.packets).sum()
}

/// Sends a frame and waits until it was dropped by a rule of the chain.
#[track_caller]
fn assert_dropped(world: &World, guest: &Guest, chain: &str, frame: &[u8]) {
    let before = dropped(world, chain);
    guest.inside.send_frame(frame);
    eventually(Duration::from_secs(5), "the frame is dropped", || {
        (dropped(world, chain) > before).then_some(())
    });
}

#[test]
fn frames_in_the_name_of_others_are_dropped() {
    let world = World::new();
    let network = world.open();
    let (one, two) = (
        world.attach(&network, &world.request("one")),
        world.attach(&network, &world.request("two")),
    );
    let _server = Server::new(&world.internet, 80);
    assert!(one.tcp(INTERNET, 80) && two.tcp(INTERNET, 80));
    let host = names::bridge_mac(network.name()).octets();
    let (mac, other) = (one.attachment.mac.octets(), two.attachment.mac.octets());
    let packet = |from| udp(from, INTERNET, (1000, 80));
    // Another's hardware address, another's IP address, both, one of nobody, the gateway's.
    for (mac, address) in [
        (other, one.address()),
        (mac, two.address()),
        (other, two.address()),
        (mac, "172.30.0.99".parse().unwrap()),
        (mac, GATEWAY),
        (mac, INTERNET),
        (mac, "127.0.0.1".parse().unwrap()),
        (mac, "0.0.0.0".parse().unwrap()),
    ] {
        assert_dropped(&world, &one, "ip_frames", &frame(host, mac, 0x0800, &packet(address)));
    }
    // Answers of a DHCP server to the host.
    let offer = udp(one.address(), GATEWAY, (67, 68));
    assert_dropped(&world, &one, "ip_frames", &frame(host, mac, 0x0800, &offer));
    // ARP: the neighbour's or the gateway's address is mine; mine is at the neighbour's.
    for (sender, said, address) in [
        (mac, mac, two.address()),
        (mac, mac, GATEWAY),
        (mac, other, one.address()),
        (other, mac, one.address()),
        (other, other, two.address()),
    ] {
        let answer = arp(said, address, GATEWAY);
        assert_dropped(&world, &one, "arp_frames", &frame([0xff; 6], sender, 0x0806, &answer));
    }
    // What is neither: IPv6 with a router's advertisement, VLAN tags, spanning tree, nonsense.
    let tagged = [&[0, 7, 8, 0][..], &packet(one.address())].concat();
    let everyone = [0x33, 0x33, 0, 0, 0, 1];
    for frame in [
        frame(everyone, mac, 0x86dd, &[0x60; 60]),
        frame(host, mac, 0x8100, &tagged),
        frame([0x01, 0x80, 0xc2, 0, 0, 0], mac, 0x0027, &[0x42; 60]),
        frame([0xff; 6], mac, 0x1234, &[0; 60]),
    ] {
        assert_dropped(&world, &one, "from_guest", &frame);
    }
    // Nobody has learnt anything wrong of it.
    assert!(one.tcp(INTERNET, 80) && two.tcp(INTERNET, 80));
    assert_eq!(two.heard_from(&one), 0);
}

#[test]
fn a_guest_is_not_heard_before_its_rules_and_after_they_are_gone() {
    let world = World::new();
    let network = world.open();
    let guest = world.attach(&network, &world.request("web"));
    let host = names::bridge_mac(network.name()).octets();
    let own = udp(guest.address(), INTERNET, (1000, 80));
    let own = frame(host, guest.attachment.mac.octets(), 0x0800, &own);
    let tap = guest.attachment.tap.clone();
    // Whoever takes the entry away closes everything.
    world.host.command("nft flush set bridge smartvm-svbr0 guests");
    let before = world.host.command("nft list chain bridge smartvm-svbr0 ip_frames");
    guest.inside.send_frame(&own);
    eventually(Duration::from_secs(5), "the frame is dropped", || {
        let now = world.host.command("nft list chain bridge smartvm-svbr0 ip_frames");
        (now != before).then_some(())
    });
    // A TAP that is taken off its bridge is not heard by the host.
    world.host.ip(&format!("link set {tap} nomaster"));
    let before = dropped_by_guard(&world);
    guest.inside.send_frame(&own);
    eventually(Duration::from_secs(5), "the frame is dropped", || {
        (dropped_by_guard(&world) != before).then_some(())
    });
    world.host.run(|| network.detach(&tap).unwrap());
    guest.inside.try_send_frame(&own).unwrap_err();
}

fn dropped_by_guard(world: &World) -> String {
    world.host.command("nft list chain inet smartvm-svbr0 guard")
}
