//! That nothing leaves another way, by the locks of the routing alone.

use super::world::{DEADLINE, World, egress, existing, spec};

#[test]
fn what_vanishes_uncovers_a_lock() {
    for (what, how) in [
        ("the interface goes down", "link set wgx0 down"),
        ("the route goes", "route del default table 51820"),
        ("the table is emptied", "route flush table 51820"),
        ("the interface goes", "link del wgx0"),
    ] {
        let world = World::new();
        let traffic = world.traffic();
        world.host.run(|| egress().ensure(&existing()).unwrap());
        traffic.expect_answer("peer", DEADLINE);
        let (capture, since) = (world.capture(), traffic.calls());
        world.host.ip(how);
        world.expect_closed(&traffic, &capture, what);
        assert_eq!(traffic.seen(&capture, since), [0; 0], "meanwhile, when {what}");
    }
}

#[test]
fn what_returns_is_used_again_once_it_is_ensured() {
    let world = World::new();
    let traffic = world.traffic();
    world.host.run(|| egress().ensure(&existing()).unwrap());
    let capture = world.capture();
    world.host.ip("link set wgx0 down");
    world.host.ip("link set wgx0 up");
    world.expect_closed(&traffic, &capture, "its route is gone");
    world.host.run(|| egress().ensure(&existing()).unwrap());
    traffic.expect_answer("peer", DEADLINE);
}

#[test]
fn without_fail_closed_what_vanishes_opens_the_other_way() {
    let world = World::new();
    let traffic = world.traffic();
    let open = spec(r#"{"existingInterface":"wgx0","failClosed":false}"#);
    world.host.run(|| egress().ensure(&open).unwrap());
    traffic.expect_answer("peer", DEADLINE);
    world.host.ip("link del wgx0");
    traffic.expect_answer("internet", DEADLINE);
}

#[test]
fn a_silent_peer_opens_no_other_way() {
    let world = World::new();
    let traffic = world.traffic();
    world.host.run(|| egress().ensure(&existing()).unwrap());
    traffic.expect_answer("peer", DEADLINE);
    let capture = world.capture();
    world.peer.ip("addr flush dev tun0");
    world.peer.ip(&format!("addr del {} dev lo", super::world::WORLD));
    world.expect_closed(&traffic, &capture, "the peer does not answer");
}

#[test]
fn guests_are_told_at_once_that_there_is_no_way() {
    let world = World::new();
    world.host.run(|| egress().ensure(&existing()).unwrap());
    world.host.ip("link del wgx0");
    let error = world.guest.run(|| {
        let address = (super::world::WORLD, 80).into();
        std::net::TcpStream::connect_timeout(&address, DEADLINE).unwrap_err()
    });
    assert_eq!(error.kind(), std::io::ErrorKind::HostUnreachable, "{error}");
}
