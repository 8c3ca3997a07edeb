//! A whole network whose only way out is an interface for WireGuard: rules of nftables, routing, guests.

use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use smartvm_network::{Network, NetworkOptions, NetworkReport, StepHook};
use smartvm_testkit::{NetNamespace, PacketCapture, Traffic, World as Answers};

use super::world::{DEADLINE, WORLD, existing, spec};
use crate::lifecycle;
use crate::world::World;

const MARK: &str = "in-the-clear";

/// The world of the other tests, with a cable `wgx0` to a peer that stands for a tunnel.
struct Tunnelled {
    world: World,
    peer: NetNamespace,
    _answers: [Answers; 2],
}

impl Tunnelled {
    fn new() -> Self {
        let mut world = World::new();
        let peer = NetNamespace::new();
        for namespace in [&world.internet, &peer] {
            namespace.ip(&format!("addr add {WORLD}/32 dev lo"));
        }
        let answers = [
            Answers::start(&world.internet, WORLD, "internet"),
            Answers::start(&peer, WORLD, "peer"),
        ];
        world.options.wireguard = Some(existing());
        let tunnelled = Self { world, peer, _answers: answers };
        tunnelled.lay_cable();
        tunnelled
    }

    fn lay_cable(&self) {
        self.world.host.connect("wgx0", &self.peer, "tun0");
        self.world.host.ip("addr add 10.70.0.1/24 dev wgx0");
        self.peer.ip("addr add 10.70.0.2/24 dev tun0");
    }

    fn capture(&self) -> PacketCapture {
        PacketCapture::start(&self.world.internet)
    }

    /// Makes sure that no call since the first has left through the uplink, after some more of them.
    #[track_caller]
    fn expect_closed(&self, traffic: &Traffic, capture: &PacketCapture, what: &str) {
        traffic.make_calls(30);
        capture.expect(b"fence", DEADLINE, || {
            self.world.host.run(|| {
                let socket = std::net::UdpSocket::bind("192.0.2.1:0").unwrap();
                socket.send_to(b"fence", "192.0.2.2:9").unwrap();
            });
        });
        assert_eq!(traffic.sent(capture, 0), [0; 0], "left in the clear: {what}");
        assert_eq!(traffic.latest("internet"), 0, "{what}");
    }

    fn report(&self) -> NetworkReport {
        let all = self.world.host.run(|| NetworkReport::all(&self.world.options.state_dir));
        all.unwrap().remove(0)
    }
}

/// All that a network changes on its host; without addresses that the host gives itself after a while,
/// and without the cable, which a test may have laid anew.
fn host_of(world: &World) -> Vec<String> {
    let all = lifecycle::host_of(world);
    let lines = all.lines().filter(|line| !line.contains("fe80::"));
    lines
        .map(|line| line.replace(|c: char| c.is_ascii_digit() && line.contains("wgx0@"), ""))
        .collect()
}

#[test]
fn nothing_leaves_in_the_clear_from_a_networks_first_moment_to_its_last() {
    let tunnelled = Tunnelled::new();
    let world = &tunnelled.world;
    let before = host_of(world);
    let capture = tunnelled.capture();
    let network = world.open();
    let guest = world.attach(&network, &world.request("web"));
    let traffic = Traffic::start(&guest.inside.namespace, WORLD, MARK);
    traffic.expect_answer("peer", DEADLINE);
    tunnelled.expect_closed(&traffic, &capture, "in use");
    let report = tunnelled.report();
    let state = report.wireguard_state.as_ref().unwrap();
    assert!(report.rules_in_force && state.ready, "{report:?}");
    assert_eq!(report.network.only_out_of.as_ref().unwrap().as_str(), "wgx0");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["wireguard"]["interface"], "wgx0");
    assert_eq!(json["wireguardState"]["ready"], true);

    world.host.ip("link del wgx0");
    tunnelled.expect_closed(&traffic, &capture, "the interface is gone");
    assert!(!tunnelled.report().wireguard_state.unwrap().ready);
    let error = world.host.run(|| network.attach(&world.request("late")).unwrap_err());
    assert_eq!(error.code(), "WIREGUARD_SETUP_FAILED");
    tunnelled.lay_cable();
    tunnelled.expect_closed(&traffic, &capture, "it is back, and no route leads there yet");
    let late = world.host.run(|| network.attach(&world.request("late")).unwrap());
    traffic.expect_answer("peer", DEADLINE);

    world.host.run(|| {
        network.detach(&late.tap).unwrap();
        network.detach(&guest.attachment.tap).unwrap();
        assert!(network.close().unwrap());
    });
    tunnelled.expect_closed(&traffic, &capture, "at the end");
    assert_eq!(host_of(world), before);
}

#[test]
fn rules_and_routes_that_others_have_removed_are_put_back() {
    let tunnelled = Tunnelled::new();
    let world = &tunnelled.world;
    let network = world.open();
    let guest = world.attach(&network, &world.request("web"));
    let traffic = Traffic::start(&guest.inside.namespace, WORLD, MARK);
    traffic.expect_answer("peer", DEADLINE);
    let capture = tunnelled.capture();
    let state_dir = &world.options.state_dir;
    for (what, how) in [
        ("the rules of nftables", &["nft flush ruleset"][..]),
        ("the rules of routing", &["ip rule flush", "ip rule add lookup main priority 32766"]),
        ("the table", &["ip route flush table 51820"]),
    ] {
        for line in how {
            world.host.command(line);
        }
        tunnelled.expect_closed(&traffic, &capture, what);
        assert!(world.host.run(|| Network::reload(state_dir, network.name()).unwrap()));
        traffic.expect_answer("peer", DEADLINE);
        let report = tunnelled.report();
        assert!(report.rules_in_force && report.wireguard_state.unwrap().ready, "{what}");
    }
}

#[test]
fn a_network_without_its_interface_is_not_made() {
    let mut tunnelled = Tunnelled::new();
    tunnelled.world.options.wireguard = Some(spec(r#"{"existingInterface":"nowhere"}"#));
    let world = &tunnelled.world;
    let before = host_of(world);
    let error = world.host.run(|| Network::open(&world.options).unwrap_err());
    assert_eq!(error.code(), "WIREGUARD_SETUP_FAILED");
    assert!(error.hint().unwrap().contains("wg-quick"));
    assert_eq!(host_of(world), before);
}

#[test]
fn an_interface_that_takes_no_traffic_changes_nothing() {
    let mut tunnelled = Tunnelled::new();
    let idle = r#"{"existingInterface":"nowhere","routeAllVmTraffic":false}"#;
    tunnelled.world.options.wireguard = Some(spec(idle));
    let world = &tunnelled.world;
    let network = world.open();
    let guest = world.attach(&network, &world.request("web"));
    let traffic = Traffic::start(&guest.inside.namespace, WORLD, MARK);
    traffic.expect_answer("internet", DEADLINE);
    assert!(!world.host.ip("rule").contains("proto 83"));
    assert!(tunnelled.report().wireguard_state.is_none());
}

#[test]
fn another_way_out_is_refused_while_the_network_is_used() {
    let tunnelled = Tunnelled::new();
    let world = &tunnelled.world;
    let network = world.open();
    for json in [
        r#"{"existingInterface":"wgx0","routeTable":7}"#,
        r#"{"existingInterface":"wgx0","failClosed":false}"#,
        r#"{"existingInterface":"uplink"}"#,
    ] {
        let options = NetworkOptions { wireguard: Some(spec(json)), ..world.options.clone() };
        let error = world.host.run(|| Network::open(&options).unwrap_err());
        assert_eq!(error.code(), "NETWORK_DIFFERS", "{json}");
    }
    // When nobody uses it any more, it is made anew.
    let other = spec(r#"{"existingInterface":"wgx0","routeTable":7}"#);
    drop(network);
    let options = NetworkOptions { wireguard: Some(other), ..world.options.clone() };
    let network = world.host.run(|| Network::open(&options).unwrap());
    let rules = world.host.ip("rule");
    assert!(rules.contains("lookup 7 ") && !rules.contains("51820"), "{rules}");
    world.host.run(|| network.close().unwrap());
}

/// Opens the network and attaches a guest, in a process that is killed at a step, or lives on and holds
/// the owner's lock.
fn manager(tunnelled: &Tunnelled, at: Option<usize>) -> std::process::Child {
    let world = &tunnelled.world;
    let count = AtomicUsize::new(0);
    let hook = StepHook::new(move |_| {
        if Some(count.fetch_add(1, Ordering::Relaxed)) == at {
            let us = rustix::process::getpid();
            rustix::process::kill_process(us, rustix::process::Signal::KILL).unwrap();
        }
        Ok(())
    });
    let options = NetworkOptions { on_step: hook, ..world.options.clone() };
    let request = world.request("web");
    world.host.run_apart(move || {
        let owner = fs_err::File::create(&request.owner).unwrap();
        owner.file().lock().unwrap();
        // It stays open in what the process becomes.
        rustix::io::fcntl_setfd(owner.as_fd(), rustix::io::FdFlags::empty()).unwrap();
        std::mem::forget(owner);
        let network = Network::open(&options).unwrap();
        network.attach(&request).unwrap();
        std::mem::forget(network);
    })
}

#[test]
fn nothing_leaves_in_the_clear_when_the_manager_is_killed_and_a_sweep_removes_all() {
    let tunnelled = Tunnelled::new();
    let world = &tunnelled.world;
    let before = host_of(world);
    let capture = tunnelled.capture();
    let mut killed = manager(&tunnelled, None);
    let report = tunnelled.report();
    let [guest] = &report.guests[..] else { panic!("{report:?}") };
    let attachment = smartvm_network::Attachment {
        tap: guest.tap.clone(),
        mac: guest.mac,
        address: guest.address,
        gateway: report.network.subnet.gateway(),
        mask: report.network.subnet.mask(),
    };
    let guest = world.guest(attachment);
    let traffic = Traffic::start(&guest.inside.namespace, WORLD, MARK);
    traffic.expect_answer("peer", DEADLINE);
    killed.kill().unwrap();
    killed.wait().unwrap();
    // The guest's Firecracker may live a moment longer: its way is still the only one.
    traffic.expect_answer("peer", DEADLINE);
    tunnelled.expect_closed(&traffic, &capture, "the manager was killed");
    let swept = world.host.run(|| Network::sweep(&world.options.state_dir).unwrap());
    assert!(swept.failed.is_empty() && swept.networks.len() == 1, "{swept:?}");
    tunnelled.expect_closed(&traffic, &capture, "swept");
    drop(guest);
    assert_eq!(host_of(world), before);
}

#[test]
fn a_manager_that_is_killed_at_any_step_leaves_what_the_next_command_removes() {
    let tunnelled = Tunnelled::new();
    let world = &tunnelled.world;
    let before = host_of(world);
    for at in 0.. {
        let mut child = manager(&tunnelled, Some(at));
        let lives = child.try_wait().unwrap().is_none() && {
            // A process that was killed is a moment later.
            let stat = fs_err::read_to_string(format!("/proc/{}/comm", child.id()));
            stat.is_ok_and(|name| name.trim() == "sleep")
        };
        if lives {
            assert!(at > 12, "every step was the last one once: {at}");
            child.kill().unwrap();
        }
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "step {at}");
        let swept = world.host.run(|| Network::sweep(&world.options.state_dir).unwrap());
        assert!(swept.failed.is_empty(), "step {at}: {swept:?}");
        assert_eq!(host_of(world), before, "step {at}");
        if lives {
            break;
        }
    }
}

#[test]
fn what_is_written_down_has_no_key() {
    let config = "[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\nAddress = 10.70.0.2\n";
    let json = serde_json::json!({ "config": config }).to_string();
    let record = spec(&json).record().unwrap();
    let text = serde_json::to_string(&record).unwrap();
    assert!(text.contains("svwg0") && !text.contains("yAnz"), "{text}");
    let digest = record.managed.unwrap();
    assert_eq!(digest.len(), 32);
    assert!(digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
}

/// Whoever has a VM there makes it again, by itself; nothing leaves in the clear meanwhile.
#[test]
fn a_living_owner_makes_the_way_out_again_when_others_remove_it() {
    let mut tunnelled = Tunnelled::new();
    tunnelled.world.options.watch = true;
    let world = &tunnelled.world;
    let before = host_of(world);
    let capture = tunnelled.capture();
    let network = world.open();
    let guest = world.attach(&network, &world.request("web"));
    let traffic = Traffic::start(&guest.inside.namespace, WORLD, MARK);
    traffic.expect_answer("peer", DEADLINE);
    let table = tunnelled.report().wireguard_state.unwrap().route_table.unwrap();
    for damage in [
        format!("route flush table {table}"),
        format!("rule del pref 5151 from 172.30.0.0/24 lookup {table}"),
    ] {
        world.host.ip(&damage);
        let ready = || tunnelled.report().wireguard_state.is_some_and(|state| state.ready);
        smartvm_testkit::eventually(std::time::Duration::from_secs(1), &damage, || {
            ready().then_some(())
        });
        traffic.make_calls(5);
        traffic.expect_answer("peer", DEADLINE);
        tunnelled.expect_closed(&traffic, &capture, &damage);
    }
    drop(traffic);
    let tap = guest.attachment.tap.clone();
    drop(guest);
    world.host.run(|| network.detach(&tap).unwrap());
    assert!(world.host.run(|| network.close().unwrap()));
    assert_eq!(host_of(world), before);
}
