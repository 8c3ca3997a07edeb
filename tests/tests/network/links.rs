//! Bridges and TAPs.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use smartvm_network::link::{BridgePort, LinkKind, Links, make_tap};
use smartvm_network::{InterfaceName, names};
use smartvm_testkit::NetNamespace;

fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

fn make_bridge(links: &mut Links, bridge: &InterfaceName) -> u32 {
    let (mac, alias) = (names::bridge_mac(bridge), names::bridge_alias(bridge));
    links.make_bridge(bridge, mac, Some(1400), &alias).unwrap();
    links.find(bridge).unwrap().unwrap().index
}

fn port(bridge: u32, group: u32) -> BridgePort<'static> {
    let mac = names::port_mac(&name("svbr0"));
    BridgePort { bridge, group, alias: "a", mac, mtu: None }
}

#[test]
fn a_bridge_has_its_mac_mtu_owner_and_address() {
    let host = NetNamespace::new();
    host.run(|| {
        let bridge = name("svbr0");
        let mut links = Links::open().unwrap();
        assert_eq!(links.find(&bridge).unwrap(), None);
        let index = make_bridge(&mut links, &bridge);
        links.set_up(&bridge, true).unwrap();
        let found = links.find(&bridge).unwrap().unwrap();
        assert_eq!((found.kind.clone(), found.up, found.mtu), (LinkKind::Bridge, true, 1400));
        assert_eq!(found.alias.as_deref(), Some("smartvm:svbr0"));
        let subnet = "172.30.0.0/24".parse::<smartvm_network::Subnet>().unwrap();
        links.add_address(index, subnet.gateway(), 24, subnet.broadcast()).unwrap();
        assert_eq!(links.addresses(index).unwrap(), [(subnet.gateway(), 24)]);
        assert!(links.routes().unwrap().iter().any(|route| route.meets(subnet)));
        let again = links.make_bridge(&bridge, names::bridge_mac(&bridge), None, "x").unwrap_err();
        assert!(again.is(libc_eexist()), "{again}");
        links.remove(&bridge).unwrap();
        links.remove(&bridge).unwrap();
        assert_eq!(links.find(&bridge).unwrap(), None);
    });
    assert!(!host.ip("link").contains("svbr0"));
}

fn libc_eexist() -> i32 {
    rustix::io::Errno::EXIST.raw_os_error()
}

#[test]
fn a_tap_belongs_to_its_user_its_group_and_its_owner() {
    let host = NetNamespace::new();
    host.run(|| {
        let (bridge, tap) = (name("svbr0"), name("svtap0"));
        let mut links = Links::open().unwrap();
        let index = make_bridge(&mut links, &bridge);
        make_tap(&tap, 70_001, 70_002).unwrap();
        let found = links.find(&tap).unwrap().unwrap();
        assert!(found.kind == LinkKind::Tap && !found.up && found.master.is_none());
        let group = names::link_group(&bridge);
        let (alias, mac) = ("smartvm:svbr0:web:eth0", names::port_mac(&bridge));
        let port = BridgePort { bridge: index, group, alias, mac, mtu: Some(1400) };
        links.join(&tap, &port).unwrap();
        let found = links.find(&tap).unwrap().unwrap();
        assert!(!found.up, "it is up only once all else is so");
        assert_eq!((found.master, found.group, found.mtu), (Some(index), group, 1400));
        assert_eq!(found.alias.as_deref(), Some("smartvm:svbr0:web:eth0"));
        links.open_port(&tap, true).unwrap();
        assert!(links.find(&tap).unwrap().unwrap().up);
        make_tap(&tap, 0, 0).unwrap_err();
    });
    let details = host.ip("-d link show svtap0");
    let mac = names::port_mac(&name("svbr0")).to_string();
    for part in [&*mac, "isolated on", "user 70001", "group 70002", "vnet_hdr on", "persist on"] {
        assert!(details.contains(part), "{part}: {details}");
    }
}

/// Whether a child that this process started now would be given a copy of a TAP's descriptor.
fn a_child_would_have_a_tap() -> bool {
    fs_err::read_dir("/proc/self/fd").unwrap().flatten().any(|entry| {
        // A descriptor of another thread may have been closed meanwhile.
        let target = fs_err::read_link(entry.path());
        target.is_ok_and(|target| target == Path::new("/dev/net/tun"))
    })
}

#[test]
fn no_child_that_is_started_while_a_tap_is_made_has_its_descriptor() {
    let host = NetNamespace::new();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut seen = 0;
            while !done.load(Ordering::Relaxed) {
                seen += u32::from(a_child_would_have_a_tap());
            }
            seen
        });
        host.run(|| {
            let mut links = Links::open().unwrap();
            for _ in 0..200 {
                make_tap(&name("svtap0"), 0, 0).unwrap();
                links.remove(&name("svtap0")).unwrap();
            }
        });
        done.store(true, Ordering::Relaxed);
        assert_eq!(watching.join().unwrap(), 0);
    });
}

#[test]
fn one_request_removes_all_links_of_a_group_and_no_other() {
    let host = NetNamespace::new();
    host.run(|| {
        let bridge = name("svbr0");
        let mut links = Links::open().unwrap();
        let index = make_bridge(&mut links, &bridge);
        let group = names::link_group(&bridge);
        for number in 0..20 {
            let tap = name(&format!("svtap{number}"));
            make_tap(&tap, 0, 0).unwrap();
            links.join(&tap, &port(index, group)).unwrap();
            links.open_port(&tap, true).unwrap();
        }
        let mtu = |links: &mut Links| links.find(&bridge).unwrap().unwrap().mtu;
        assert_eq!(mtu(&mut links), 1400, "it does not follow its links");
        make_tap(&name("foreign"), 0, 0).unwrap();
        assert_eq!(links.of_group(group).unwrap().len(), 20);
        links.remove_group(group).unwrap();
        links.remove_group(group).unwrap();
        assert_eq!(mtu(&mut links), 1400, "nor that there are none");
        let left: Vec<_> = links.all().unwrap().into_iter().map(|link| link.name).collect();
        assert_eq!(left, ["lo", "svbr0", "foreign"]);
    });
}

#[test]
fn a_refusal_says_what_was_being_done_to_what() {
    let host = NetNamespace::new();
    host.run(|| {
        let mut links = Links::open().unwrap();
        let error = links.join(&name("nothere"), &port(1, 2)).unwrap_err();
        assert_eq!((error.operation(), error.object()), ("put on the bridge link", "nothere"));
        assert_eq!(error.code(), "NETLINK_FAILED");
        assert_eq!(error.errno(), Some(rustix::io::Errno::NODEV.raw_os_error()));
    });
}
