//! That not one packet of a guest leaves in the clear, whatever happens.

use std::os::unix::process::ExitStatusExt;

use super::world::{DEADLINE, World, egress, spec};

#[test]
fn nothing_leaves_in_the_clear_before_during_and_after_set_up_and_at_its_end() {
    let world = World::new();
    world.set_rules(true);
    let capture = world.capture();
    let traffic = world.traffic();
    world.expect_closed(&traffic, &capture, 0, "before set-up");
    world.host.run(|| egress().ensure(&spec()).unwrap());
    traffic.expect_answer("peer", DEADLINE);
    world.expect_closed(&traffic, &capture, 0, "after set-up");
    // As a stop does it: the guest's link first, then the way out, then the rules.
    world.host.ip("link del port0");
    world.host.run(|| egress().remove().unwrap());
    world.expect_closed(&traffic, &capture, 0, "at the end");
    assert_eq!(traffic.latest("internet"), 0, "nobody else was reached");
}

#[test]
fn a_connection_from_before_does_not_go_on_in_the_clear() {
    let world = World::new();
    world.set_rules(false);
    let capture = world.capture();
    let traffic = world.traffic();
    traffic.expect_answer("internet", DEADLINE);
    world.set_rules(true);
    let since = traffic.calls();
    world.expect_closed(&traffic, &capture, since, "an established connection, rules alone");
    world.host.run(|| egress().ensure(&spec()).unwrap());
    world.expect_closed(&traffic, &capture, since, "an established connection, tunnel up");
}

#[test]
fn nothing_leaves_in_the_clear_when_the_interface_or_the_peer_is_lost() {
    let world = World::new();
    world.set_rules(true);
    world.host.run(|| egress().ensure(&spec()).unwrap());
    let capture = world.capture();
    let traffic = world.traffic();
    traffic.expect_answer("peer", DEADLINE);
    for how in ["link set svwg0 down", "link del svwg0"] {
        world.host.ip(how);
        world.expect_closed(&traffic, &capture, 0, how);
        assert!(!world.host.run(|| egress().report().unwrap().unwrap()).ready);
        world.host.run(|| egress().ensure(&spec()).unwrap());
        traffic.expect_answer("peer", DEADLINE);
    }
    // Each lock holds alone: first the rules of nftables, then those of the routing.
    world.host.ip("rule flush");
    world.host.ip("rule add lookup main priority 32766");
    world.expect_closed(&traffic, &capture, 0, "routing rules are gone");
    world.host.run(|| egress().ensure(&spec()).unwrap());
    traffic.expect_answer("peer", DEADLINE);
    world.set_rules(false);
    world.host.ip("link del svwg0");
    world.expect_closed(&traffic, &capture, 0, "nftables would let it pass");
    world.host.run(|| egress().ensure(&spec()).unwrap());
    world.set_rules(true);
    traffic.expect_answer("peer", DEADLINE);

    world.peer.ip("link del wg0");
    world.expect_closed(&traffic, &capture, 0, "the peer is dead");
    world.start_peer();
    traffic.expect_answer("peer", DEADLINE);
    world.expect_closed(&traffic, &capture, 0, "the peer is back");
    assert_eq!(traffic.latest("internet"), 0);
}

#[test]
fn nothing_leaves_in_the_clear_when_the_manager_is_killed_and_the_next_one_goes_on() {
    let world = World::new();
    let before = world.state();
    world.set_rules(true);
    let capture = world.capture();
    let traffic = world.traffic();
    // Before each step of the set-up.
    for at in 0..12 {
        let status = world.manager(Some(at)).wait().unwrap();
        assert_eq!(status.signal(), Some(9), "step {at}");
        world.expect_closed(&traffic, &capture, 0, &format!("killed before step {at}"));
        if at % 2 == 0 {
            world.host.run(|| egress().ensure(&spec()).unwrap());
            traffic.expect_answer("peer", DEADLINE);
        }
        world.host.run(|| egress().remove().unwrap());
        assert_eq!(world.state(), before, "step {at}");
        world.expect_closed(&traffic, &capture, 0, &format!("swept after step {at}"));
    }
    // When it is done.
    let mut manager = world.manager(None);
    traffic.expect_answer("peer", DEADLINE);
    manager.kill().unwrap();
    assert_eq!(manager.wait().unwrap().signal(), Some(9));
    traffic.expect_answer("peer", DEADLINE);
    let mut next = world.manager(None);
    traffic.expect_answer("peer", DEADLINE);
    world.expect_closed(&traffic, &capture, 0, "restarted");
    next.kill().unwrap();
    next.wait().unwrap();
    world.host.run(|| egress().remove().unwrap());
    assert_eq!(world.state(), before);
    world.expect_closed(&traffic, &capture, 0, "swept at last");
    assert_eq!(traffic.latest("internet"), 0);
}

#[test]
fn what_the_host_says_of_a_late_answer_goes_back_into_the_tunnel() {
    let world = World::new();
    world.host.run(|| egress().ensure(&spec()).unwrap());
    let capture = world.capture();
    let traffic = world.traffic();
    // To no port that anybody listens on: the host's ICMP error repeats it.
    let refused = world.peer.run(|| {
        let socket = std::net::UdpSocket::bind((super::world::WORLD, 0)).unwrap();
        socket.connect("10.70.0.2:9").unwrap();
        socket.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
        smartvm_testkit::eventually(DEADLINE, "the host refuses", || {
            // The first ones find no handshake yet.
            let sent = socket.send(b"late in-the-clear 1000000");
            let answer = sent.and_then(|_| socket.recv(&mut [0; 8]));
            answer
                .err()
                .map(|error| error.kind())
                .filter(|kind| *kind == std::io::ErrorKind::ConnectionRefused)
        })
    });
    assert_eq!(refused, std::io::ErrorKind::ConnectionRefused);
    world.expect_closed(&traffic, &capture, 0, "an error about a packet out of the tunnel");
}
