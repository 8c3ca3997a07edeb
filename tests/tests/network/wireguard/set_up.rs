//! What is made, what is left alone, and what is refused.

use super::world::{DEADLINE, World, egress, existing, spec};

#[test]
fn all_that_leaves_the_subnet_goes_through_the_interface_and_then_again_does_not() {
    let world = World::new();
    let before = world.state();
    let traffic = world.traffic();
    traffic.expect_answer("internet", DEADLINE);

    world.host.run(|| egress().ensure(&existing()).unwrap());
    traffic.expect_answer("peer", DEADLINE);
    let rules = world.host.ip("rule");
    for rule in [
        "5150:\tfrom 172.30.0.0/24 to 172.30.0.0/24 lookup main suppress_prefixlength 0 proto 83",
        "5151:\tfrom 172.30.0.0/24 lookup 51820 proto 83",
        "5152:\tfrom 172.30.0.0/24 unreachable proto 83",
    ] {
        assert!(rules.contains(rule), "{rule}: {rules}");
    }
    let routes = world.host.ip("route show table 51820");
    assert!(routes.contains("default dev wgx0 proto 83 scope link"), "{routes}");
    assert!(routes.contains("unreachable default proto 83 metric 4294967295"), "{routes}");

    world.host.run(|| egress().remove().unwrap());
    traffic.expect_answer("internet", DEADLINE);
    assert_eq!(world.state(), before);
}

#[test]
fn the_host_still_answers_its_guests() {
    let world = World::new();
    world.host.run(|| egress().ensure(&existing()).unwrap());
    let gateway = std::net::Ipv4Addr::new(172, 30, 0, 1);
    let _answers = smartvm_testkit::World::start(&world.host, gateway, "gateway");
    let calls = smartvm_testkit::Traffic::start(&world.guest, gateway, "hello");
    calls.expect_answer("gateway", DEADLINE);
}

#[test]
fn to_ensure_it_twice_changes_nothing_and_to_remove_it_twice_is_success() {
    let world = World::new();
    let before = world.state();
    world.host.run(|| {
        egress().remove().unwrap();
        egress().ensure(&existing()).unwrap();
    });
    let once = world.state();
    world.host.run(|| {
        let mut changes = 0;
        let mut count = |_| {
            changes += 1;
            Ok(())
        };
        egress().ensure_stepwise(&existing(), &mut count).unwrap();
        assert_eq!(changes, 0, "what is there is known to be");
    });
    assert_eq!(world.state(), once);
    world.host.run(|| {
        egress().remove().unwrap();
        egress().remove().unwrap();
    });
    assert_eq!(world.state(), before);
}

#[test]
fn only_what_was_added_is_removed() {
    let world = World::new();
    world.host.ip("route add default dev wgx0 table 51820 metric 7");
    world.host.ip("rule add from 172.30.0.0/24 lookup 51820 priority 9000");
    world.host.ip("route add 10.9.0.0/16 dev wgx0 table 51820");
    let before = world.state();
    let traffic = world.traffic();
    world.host.run(|| egress().ensure(&existing()).unwrap());
    traffic.expect_answer("peer", DEADLINE);
    let routes = world.host.ip("route show table 51820 type unicast");
    assert!(!routes.contains("proto 83"), "there was a way already: {routes}");
    world.host.run(|| egress().remove().unwrap());
    assert_eq!(world.state(), before);
}

#[test]
fn a_table_that_leads_elsewhere_is_refused_and_left_alone() {
    for foreign in [
        "default via 192.0.2.2 dev up0",
        "default via 192.0.2.2 dev up0 metric 4000",
        "blackhole default",
        "unreachable default metric 9",
        "default nexthop dev up0 nexthop dev wgx0",
    ] {
        let world = World::new();
        world.host.ip(&format!("route add table 51820 {foreign}"));
        let before = world.state();
        let error = world.host.run(|| egress().ensure(&existing()).unwrap_err());
        assert_eq!(error.code(), "WIREGUARD_SETUP_FAILED", "{foreign}");
        assert!(error.to_string().contains("routing table 51820 has a default"), "{error}");
        assert!(error.hint().unwrap().contains("routeTable"));
        assert_eq!(world.state(), before, "{foreign}");
        // Another table will do.
        let other = spec(r#"{"existingInterface":"wgx0","routeTable":4294967295}"#);
        world.host.run(|| egress().ensure(&other).unwrap());
        world.traffic().expect_answer("peer", DEADLINE);
    }
}

#[test]
fn an_interface_that_cannot_be_used_is_refused_with_what_to_do() {
    let world = World::new();
    let before = world.state();
    let refused = |json: &str| {
        let error = world.host.run(|| egress().ensure(&spec(json)).unwrap_err());
        assert_eq!(error.code(), "WIREGUARD_SETUP_FAILED");
        assert_eq!(world.state(), before);
        format!("{error}; {}", error.hint().unwrap())
    };
    let missing = refused(r#"{"existingInterface":"nowhere"}"#);
    assert!(
        missing.contains("no interface `nowhere`") && missing.contains("wg-quick"),
        "{missing}"
    );
    let managed = |name: &str| {
        format!(
            r#"{{"interfaceName":"{name}","config":"[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\nAddress = 10.70.0.2/32"}}"#
        )
    };
    let taken = refused(&managed("wgx0"));
    assert!(taken.contains("there is a link of that name") && taken.contains("existingInterface"));
    world.host.ip("link set wgx0 down");
    let down = world.host.run(|| egress().ensure(&existing()).unwrap_err());
    assert!(down.to_string().contains("`wgx0` is down"), "{down}");
    assert!(down.hint().unwrap().contains("ip link set wgx0 up"));
}

#[test]
fn a_changed_option_replaces_what_the_old_one_made() {
    let world = World::new();
    let before = world.state();
    let table = |table: u32, closed: bool| {
        spec(&format!(
            r#"{{"existingInterface":"wgx0","routeTable":{table},"failClosed":{closed}}}"#
        ))
    };
    world.host.run(|| egress().ensure(&table(100, true)).unwrap());
    world.host.run(|| egress().ensure(&table(200, true)).unwrap());
    assert!(!world.state().contains("table 100") && !world.state().contains("lookup 100"));
    world.traffic().expect_answer("peer", DEADLINE);
    world.host.run(|| egress().ensure(&table(200, false)).unwrap());
    assert!(!world.state().contains("unreachable"), "{}", world.state());
    world.traffic().expect_answer("peer", DEADLINE);
    world.host.run(|| egress().remove().unwrap());
    assert_eq!(world.state(), before);
}

#[test]
fn two_networks_may_share_an_interface_and_the_first_to_go_leaves_the_other_its_way() {
    let world = World::new();
    let before = world.state();
    let other = smartvm_network::WireGuardEgress::new(
        "svbr1".parse().unwrap(),
        "172.31.0.0/24".parse().unwrap(),
    );
    world.host.run(|| {
        other.ensure(&existing()).unwrap();
        egress().ensure(&existing()).unwrap();
        other.remove().unwrap();
    });
    world.traffic().expect_answer("peer", DEADLINE);
    world.host.run(|| egress().remove().unwrap());
    assert_eq!(world.state(), before);
}

#[test]
fn two_networks_cannot_have_two_interfaces_in_one_table() {
    let world = World::new();
    let other = smartvm_network::WireGuardEgress::new(
        "svbr1".parse().unwrap(),
        "172.31.0.0/24".parse().unwrap(),
    );
    world.host.run(|| other.ensure(&spec(r#"{"existingInterface":"up0"}"#)).unwrap());
    let before = world.state();
    let error = world.host.run(|| egress().ensure(&existing()).unwrap_err());
    assert!(error.to_string().contains("through `up0`"), "{error}");
    assert_eq!(world.state(), before);
}

#[test]
fn the_report_says_what_there_is() {
    let world = World::new();
    world.host.run(|| {
        assert_eq!(egress().report().unwrap(), None);
        egress().ensure(&existing()).unwrap();
        let report = egress().report().unwrap().unwrap();
        assert_eq!(report.interface.as_deref(), Some("wgx0"));
        assert!(report.ready && report.fail_closed && !report.managed);
        assert_eq!((report.route_table, report.peers.len()), (Some(51820), 0));
    });
    world.host.ip("link del wgx0");
    world.host.run(|| {
        let report = egress().report().unwrap().unwrap();
        assert!(!report.ready && report.fail_closed && report.interface.is_none());
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["routeTable"], 51820);
        assert_eq!(json["failClosed"], true);
    });
}
