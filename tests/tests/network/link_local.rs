//! Frames to 01:80:c2:00:00:00 to 0f, which the kernel takes from a bridge's port before any rule sees them.

use std::net::Ipv4Addr;

use smartvm_network::{Network, names};

use super::world::{Guest, Server, World};

/// A network with two guests: on a bridge of ours, or on one of others.
struct Stage {
    world: World,
    network: Network,
    one: Guest,
    two: Guest,
}

/// Whose the bridge is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bridge {
    Own,
    Adopted,
    /// Of others, with the spanning tree of the kernel.
    AdoptedWithSpanningTree,
}

impl Stage {
    fn new(bridge: Bridge) -> Self {
        let world = World::new();
        if bridge != Bridge::Own {
            world.host.ip("link add svbr0 type bridge forward_delay 200");
            world.host.ip("addr add 172.30.0.1/24 dev svbr0");
            if bridge == Bridge::AdoptedWithSpanningTree {
                world.host.ip("link set svbr0 type bridge stp_state 1");
            }
            world.host.ip("link set svbr0 up");
            // A link of theirs, which is learnt from as before.
            world.host.connect("lan0", &world.internet, "lan1");
            world.host.ip("link set lan0 master svbr0");
        }
        let network = world.open();
        let one = world.attach(&network, &world.request("one"));
        let two = world.attach(&network, &world.request("two"));
        Self { world, network, one, two }
    }

    /// Where the bridge has a hardware address, by the command that people look with.
    fn places_of(&self, mac: [u8; 6]) -> Vec<String> {
        let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
        let table = self.world.host.command("bridge fdb show br svbr0");
        let lines = table.lines().filter(|line| line.starts_with(&mac));
        let mut places: Vec<_> =
            lines.filter_map(|line| line.split_whitespace().nth(2).map(str::to_owned)).collect();
        places.dedup();
        places
    }

    /// How many addresses the bridge has at the links of guests, and how many neighbours the host has.
    fn table_sizes(&self) -> (usize, usize) {
        let table = self.world.host.command("bridge fdb show br svbr0");
        let taps = [&self.one, &self.two].map(|guest| guest.attachment.tap.to_string());
        let at_guests = table.lines().filter(|line| taps.iter().any(|tap| line.contains(&**tap)));
        let neighbours = self.world.host.ip("neigh show");
        let foreign = neighbours.lines().filter(|line| {
            !line.starts_with("172.30.0.2 ")
                && !line.starts_with("172.30.0.3 ")
                && (line.contains("svbr0") || taps.iter().any(|tap| line.contains(&**tap)))
        });
        (at_guests.count(), foreign.count())
    }

    /// What the host says to the second guest is heard by it, and by it alone.
    #[track_caller]
    fn assert_only_two_hears_what_is_for_two(&self, when: &str) {
        let to_two = |guest: &Guest| {
            let heard = guest.inside.heard();
            let mac = self.two.attachment.mac.octets();
            heard.iter().filter(|frame| frame.starts_with(&mac)).count()
        };
        let (before, strange) = (to_two(&self.two), to_two(&self.one));
        let answered = self.world.host.output("ping -c 1 -W 5 172.30.0.3").status.success();
        assert!(answered, "{when}");
        assert!(to_two(&self.two) > before, "{when}");
        assert_eq!(to_two(&self.one), strange, "{when}: what was for the other");
    }
}

fn frame(to: [u8; 6], from: [u8; 6], kind: u16, content: &[u8]) -> Vec<u8> {
    [&to[..], &from, &kind.to_be_bytes(), content].concat()
}

fn reserved(last: u8) -> [u8; 6] {
    [0x01, 0x80, 0xc2, 0, 0, last]
}

/// Who has `wanted`? That is asked in the name of `mac` with `address`.
fn arp(mac: [u8; 6], address: Ipv4Addr, wanted: Ipv4Addr) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4, 0, 1];
    [&head[..], &mac, &address.octets(), &[0; 6], &wanted.octets()].concat()
}

/// A spanning tree's claim to be the root of all, after its length.
fn bpdu() -> Vec<u8> {
    let id = [0, 0, 2, 0, 0, 0, 0, 1];
    let head = [0x42, 0x42, 3, 0, 0, 0, 0, 0];
    [&head[..], &id, &[0; 4], &id, &[0x80, 1, 0, 0, 20, 0, 2, 0, 15, 0], &[0; 8]].concat()
}

/// What protocols there are put into such frames, and what should not be.
fn contents(stage: &Stage) -> Vec<(u16, Vec<u8>)> {
    let (one, two) = (stage.one.attachment.mac.octets(), stage.two.attachment.mac.octets());
    let gateway = stage.one.attachment.gateway;
    let mut ip = vec![0x45, 0, 0, 20, 0, 1, 0, 0, 64, 17, 0, 0];
    ip.extend(stage.two.address().octets());
    ip.extend(gateway.octets());
    vec![
        (38, bpdu()),
        // LLDP, PAUSE, EAPOL, LACP, PTP.
        (0x88cc, vec![2; 60]),
        (0x8808, [&[0, 1, 0xff, 0xff][..], &[0; 42]].concat()),
        (0x888e, [&[1, 1, 0, 0][..], &[0; 42]].concat()),
        (0x8809, vec![1; 110]),
        (0x88f7, vec![0; 60]),
        (0x0806, arp(two, stage.two.address(), gateway)),
        (0x0806, arp(one, "172.30.0.99".parse().unwrap(), gateway)),
        (0x0800, ip),
        (0x86dd, vec![0x60; 60]),
        (0x8100, [&[0, 7, 8, 6][..], &arp(two, stage.two.address(), gateway)].concat()),
        (0x1234, vec![0; 60]),
    ]
}

fn nothing_is_learnt_on(bridge: Bridge) {
    let stage = Stage::new(bridge);
    let (one, two) = (&stage.one, &stage.two);
    let two_mac = two.attachment.mac.octets();
    let sizes = stage.table_sizes();
    stage.assert_only_two_hears_what_is_for_two("at first");
    let host = names::bridge_mac(stage.network.name()).octets();
    for last in 0..16 {
        for (kind, content) in contents(&stage) {
            for from in [two_mac, host, [2, 0, 0, 9, kind.to_be_bytes()[1], last]] {
                one.inside.send_frame(&frame(reserved(last), from, kind, &content));
            }
        }
        let when = format!("after frames to {:02x?}", reserved(last));
        assert_eq!(stage.places_of(two_mac), [two.attachment.tap.to_string()], "{when}");
        assert_eq!(stage.table_sizes(), sizes, "{when}");
    }
    stage.assert_only_two_hears_what_is_for_two("at last");
    // Nor was the guest told anything by the host in answer.
    let answers =
        one.inside.heard().iter().filter(|frame| frame.get(20..22) == Some(&[0, 2])).count();
    let asked =
        one.inside.heard().iter().filter(|frame| frame.get(12..14) == Some(&[8, 6])).count();
    assert_eq!(answers, 0, "of {asked} ARP packets");
}

#[test]
fn no_frame_to_a_reserved_address_moves_a_neighbour_on_a_bridge_of_ours() {
    nothing_is_learnt_on(Bridge::Own);
}

#[test]
fn no_frame_to_a_reserved_address_moves_a_neighbour_on_a_bridge_of_others() {
    nothing_is_learnt_on(Bridge::Adopted);
}

#[test]
fn twenty_thousand_such_frames_leave_no_entry_no_neighbour_and_no_answer() {
    for bridge in [Bridge::Own, Bridge::Adopted] {
        let stage = Stage::new(bridge);
        let sizes = stage.table_sizes();
        for number in 0_u32..20_000 {
            let [_, a, b, c] = number.to_be_bytes();
            let (from, address) = ([2, 7, 7, a, b, c], Ipv4Addr::new(172, 30, 0, c));
            let to = reserved(c % 16);
            let frame = if number % 2 == 0 {
                frame(to, from, 0x88cc, &[2; 46])
            } else {
                frame(to, from, 0x0806, &arp(from, address, stage.one.attachment.gateway))
            };
            stage.one.inside.send_frame(&frame);
        }
        assert_eq!(stage.table_sizes(), sizes, "{bridge:?}");
        stage.assert_only_two_hears_what_is_for_two("after the flood");
        let strange =
            stage.one.inside.heard().into_iter().filter(|it| it.starts_with(&[2, 7, 7])).count();
        assert_eq!(strange, 0, "answers on {bridge:?}");
    }
}

#[test]
fn a_guests_link_takes_no_part_in_the_spanning_tree_of_others() {
    let stage = Stage::new(Bridge::AdoptedWithSpanningTree);
    // The kernel hears spanning tree in its first namespace only, so what it goes by is looked at.
    for guest in [&stage.one, &stage.two] {
        let shown =
            stage.world.host.command(&format!("bridge -d link show dev {}", guest.attachment.tap));
        for part in ["guard on", "learning off", "isolated on"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
    let shown = stage.world.host.command("bridge -d link show dev lan0");
    assert!(shown.contains("guard off") && shown.contains("learning on"), "{shown}");
}

#[test]
fn what_another_program_changed_of_a_guests_link_is_put_back() {
    let stage = Stage::new(Bridge::Own);
    let (host, tap) = (&stage.world.host, &stage.one.attachment.tap);
    host.command(&format!("bridge fdb del {} dev {tap} master", stage.one.attachment.mac));
    host.command(&format!("bridge link set dev {tap} learning on guard off isolated off"));
    host.ip(&format!("link set {tap} arp on"));
    let (dir, name) = (&stage.world.options.state_dir, stage.network.name());
    assert!(host.run(|| Network::reload(dir, name).unwrap()));
    let shown = host.command(&format!("bridge -d link show dev {tap}"));
    for part in ["guard on", "learning off", "isolated on"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(host.ip(&format!("link show {tap}")).contains("NOARP"));
    assert_eq!(stage.places_of(stage.one.attachment.mac.octets()), [tap.to_string()]);
    stage.assert_only_two_hears_what_is_for_two("afterwards");
}

#[test]
fn a_link_of_others_cannot_take_a_guests_place() {
    let stage = Stage::new(Bridge::Adopted);
    let _server = Server::new(&stage.two.inside.namespace, 80);
    let mac = stage.two.attachment.mac;
    stage.world.internet.ip(&format!("link set lan1 address {mac}"));
    stage.world.internet.ip("addr add 172.30.0.200/24 dev lan1");
    // It says something to all, in the name of the guest.
    let _ = stage.world.internet.output("ping -c 1 -W 0.3 172.30.0.1");
    assert_eq!(stage.places_of(mac.octets()), [stage.two.attachment.tap.to_string()]);
    stage.assert_only_two_hears_what_is_for_two("afterwards");
}
