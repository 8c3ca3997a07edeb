//! The tunnel: that it is as configured, and that packets arrive.

use smartvm_network::netlink::NetlinkError;
use smartvm_network::wireguard::WireGuardWay;
use smartvm_testkit::eventually;

use super::world::{
    DEADLINE, HOST_KEY, PEER_PUBLIC, SHARED, World, config, egress, spec, spec_of, way,
};

#[test]
fn a_managed_tunnel_carries_guests_to_the_peer_and_shows_what_it_does() {
    let world = World::new();
    let before = world.state();
    world.set_rules(true);
    world.host.run(|| egress().ensure(&spec()).unwrap());
    let capture = world.capture();
    let traffic = world.traffic();
    traffic.expect_answer("peer", DEADLINE);
    world.expect_closed(&traffic, &capture, 0, "with the tunnel up");
    // Port 51820, to which something was sent.
    assert!(capture.count(&51820_u16.to_be_bytes()) > 0, "the tunnel's own packets were recorded");

    let report = world.host.run(|| egress().report().unwrap().unwrap());
    assert_eq!(report.interface.as_deref(), Some("svwg0"));
    assert!(report.managed && report.ready && report.fail_closed);
    assert_eq!(report.route_table, Some(51820));
    let [peer] = &report.peers[..] else { panic!("{report:?}") };
    assert_eq!(peer.public_key, PEER_PUBLIC);
    assert_eq!(peer.endpoint.unwrap().to_string(), "203.0.113.10:51820");
    assert_eq!(peer.allowed_ips.iter().map(ToString::to_string).collect::<Vec<_>>(), ["0.0.0.0/0"]);
    assert_eq!(peer.persistent_keepalive, 1);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert!(peer.latest_handshake.is_some_and(|at| now.abs_diff(at) < 600), "{peer:?}");
    assert!(peer.rx_bytes > 0 && peer.tx_bytes > 0, "{peer:?}");
    let shown = format!("{report:?} {}", serde_json::to_string(&report).unwrap());
    assert!(!shown.contains(HOST_KEY) && !shown.contains(SHARED), "{shown}");

    let link = world.host.ip("-d link show svwg0");
    for part in ["mtu 1400", "wireguard", "alias smartvm:svbr0:wireguard:"] {
        assert!(link.contains(part), "{part}: {link}");
    }
    assert!(world.host.ip("addr show svwg0").contains("inet 10.70.0.2/24"));
    world.host.run(|| egress().remove().unwrap());
    assert_eq!(world.state(), before);
}

#[test]
fn a_peer_is_reached_over_ipv6_as_well() {
    let world = World::new();
    world.set_rules(true);
    let spec = spec_of(&config("[2001:db8:2::10]:51820"));
    world.host.run(|| egress().ensure(&spec).unwrap());
    let capture = world.capture();
    let traffic = world.traffic();
    traffic.expect_answer("peer", DEADLINE);
    world.expect_closed(&traffic, &capture, 0, "with the tunnel over IPv6");
    let report = world.host.run(|| egress().report().unwrap().unwrap());
    assert_eq!(report.peers[0].endpoint.unwrap().to_string(), "[2001:db8:2::10]:51820");
}

#[test]
fn what_is_as_configured_is_left_alone_and_a_new_configuration_is_taken_over() {
    let world = World::new();
    world.set_rules(true);
    let steps = |spec: &WireGuardWay| {
        let mut steps = Vec::new();
        let mut note = |step: smartvm_network::wireguard::WireGuardStep| {
            steps.push(step.to_string());
            Ok(())
        };
        world.host.run(|| egress().ensure_stepwise(spec, &mut note).unwrap());
        steps
    };
    let made = steps(&spec());
    assert_eq!(made.len(), 12, "{made:?}");
    assert_eq!(steps(&spec()), ["set the MTU"; 0], "nothing to do");
    world.host.ip("link set svwg0 mtu 1300 down");
    world.host.ip("addr add 10.99.0.1/32 dev svwg0");
    let mended = steps(&spec());
    assert_eq!(
        mended,
        ["change an address", "set the MTU", "bring the interface up", "add the default route"]
    );
    let other = config("203.0.113.10:51820")
        .replace("MTU = 1400", "ListenPort = 40000")
        .replace("10.70.0.2/24", "10.70.0.2/32");
    let changed = steps(&spec_of(&other));
    assert!(changed.contains(&"set keys and peers".to_owned()), "{changed:?}");
    assert!(!changed.contains(&"make the interface".to_owned()), "{changed:?}");
    let report = world.host.run(|| egress().report().unwrap().unwrap());
    assert_eq!((report.listen_port, report.peers.len()), (Some(40000), 1));
    assert!(world.host.ip("link show svwg0").contains("mtu 1420"));
    world.traffic().expect_answer("peer", DEADLINE);

    // From what is written down alone it is brought up, but neither made nor changed.
    let recorded = |way: &WireGuardWay| WireGuardWay::Recorded(way.record().unwrap());
    world.host.ip("link set svwg0 down");
    assert_eq!(
        steps(&recorded(&spec_of(&other))),
        ["bring the interface up", "add the default route"]
    );
    let refused = |way: &WireGuardWay| {
        let error = world.host.run(|| egress().ensure(&recorded(way)).unwrap_err());
        assert!(error.hint().unwrap().contains("keys are not kept"), "{error}");
    };
    refused(&spec());
    world.host.ip("link del svwg0");
    refused(&spec_of(&other));
}

#[test]
fn another_name_takes_the_place_of_the_old_interface() {
    let world = World::new();
    let before = world.state();
    world.host.run(|| egress().ensure(&spec()).unwrap());
    let options: smartvm_network::WireGuardOptions = serde_json::from_value(serde_json::json!({
        "config": config("203.0.113.10:51820"), "interfaceName": "svwg7", "routeTable": 77,
    }))
    .unwrap();
    let other = way(&options);
    world.host.run(|| egress().ensure(&other).unwrap());
    let state = world.state();
    assert!(state.contains("svwg7") && !state.contains("svwg0"), "{state}");
    assert!(state.contains("table 77") && !state.contains("51820"), "{state}");
    world.host.run(|| egress().remove().unwrap());
    assert_eq!(world.state(), before);
}

#[test]
fn an_interface_of_somebody_else_is_neither_taken_nor_removed() {
    let world = World::new();
    world.host.ip("link add svwg0 type wireguard");
    let before = world.state();
    let error = world.host.run(|| egress().ensure(&spec()).unwrap_err());
    assert_eq!(error.code(), "WIREGUARD_SETUP_FAILED");
    assert!(error.hint().unwrap().contains("existingInterface"));
    assert_eq!(world.state(), before);
    world.host.run(|| egress().remove().unwrap());
    assert_eq!(world.state(), before);

    // As an existing interface, it is used as it is.
    world.host.ip("link set svwg0 up");
    let options: smartvm_network::WireGuardOptions =
        serde_json::from_str(r#"{"existingInterface":"svwg0"}"#).unwrap();
    let existing = way(&options);
    world.host.run(|| egress().ensure(&existing).unwrap());
    world.host.run(|| egress().remove().unwrap());
    assert!(world.host.ip("link show svwg0").contains("UP"));
}

#[test]
fn a_set_up_that_fails_at_any_step_leaves_the_host_as_it_was() {
    let world = World::new();
    let before = world.state();
    for at in 0.. {
        let mut count = 0;
        let done = world.host.run(|| {
            egress().ensure_stepwise(&spec(), &mut |step| {
                count += 1;
                let error = std::io::ErrorKind::Other.into();
                if count == at + 1 {
                    Err(NetlinkError::new("fail to", step.to_string(), error))
                } else {
                    Ok(())
                }
            })
        });
        if done.is_ok() {
            assert_eq!(at, 12, "every step has failed once");
            break;
        }
        let shown = format!("{:?}", done.unwrap_err());
        assert!(!shown.contains(HOST_KEY) && !shown.contains(SHARED), "{shown}");
        assert_eq!(world.state(), before, "step {at}");
    }
    // The port is taken: an error of the kernel's own.
    world.host.run(|| egress().remove().unwrap());
    let socket = world.host.run(|| std::net::UdpSocket::bind("0.0.0.0:4500").unwrap());
    let taken = config("203.0.113.10:51820").replace("MTU = 1400", "ListenPort = 4500");
    let error = world.host.run(|| egress().ensure(&spec_of(&taken)).unwrap_err());
    assert!(error.hint().unwrap().contains("ListenPort"), "{error}");
    assert_eq!(world.state(), before);
    drop(socket);
}

#[test]
fn a_name_that_cannot_be_found_is_an_error_with_the_name() {
    let world = World::new();
    // No server of names can be reached, and that is known at once instead of after ten seconds.
    world.host.ip("route del default");
    world.host.ip("-6 route del default");
    let before = world.state();
    let unknown = spec_of(&config("nowhere.invalid:51820"));
    let error = world.host.run(|| egress().ensure(&unknown).unwrap_err());
    assert!(error.to_string().contains("`nowhere.invalid`"), "{error}");
    assert_eq!(world.state(), before);
    let known = spec_of(&config("localhost:51820"));
    world.host.run(|| egress().ensure(&known).unwrap());
    let report = world.host.run(|| egress().report().unwrap().unwrap());
    assert!(report.peers[0].endpoint.unwrap().ip().is_loopback());
    eventually(DEADLINE, "it is removed", || world.host.run(|| egress().remove().ok()));
}
