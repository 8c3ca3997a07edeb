//! A hardware address belongs to one.

use std::time::Duration;

use smartvm_network::{AttachGuest, MacAddress, Network, names};
use smartvm_testkit::eventually;

use super::lifecycle::host_of;
use super::world::World;

fn with(world: &World, vm: &str, mac: MacAddress) -> AttachGuest {
    AttachGuest { mac: Some(mac), ..world.request(vm) }
}

/// The host, but for how many packets its rules have counted.
fn uncounted(world: &World) -> String {
    let host = host_of(world);
    let mut after_counter = false;
    let words = host.split_whitespace().filter(|word| {
        let counts = after_counter;
        after_counter = matches!(*word, "packets" | "bytes");
        !counts
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The interface is refused with this part of the reason, and nothing of it is left.
#[track_caller]
fn assert_refused(world: &World, network: &Network, request: &AttachGuest, part: &str) {
    let before = uncounted(world);
    let error = world.host.run(|| network.attach(request).unwrap_err());
    assert_eq!(error.code(), "MAC_IN_USE", "{error}");
    assert!(error.to_string().contains(part), "{error}");
    assert!(error.hint().unwrap().contains("guestMac"));
    assert_eq!(uncounted(world), before);
}

#[test]
fn an_address_of_another_vm_is_refused_with_its_name_also_by_another_process() {
    let world = World::new();
    let (network, other) = (world.open(), world.open());
    let mac = "02:00:00:00:00:07".parse().unwrap();
    let first = world.host.run(|| network.attach(&with(&world, "first", mac)).unwrap());
    for network in [&network, &other] {
        assert_refused(&world, network, &with(&world, "second", mac), "VM first");
        // Also one that nobody has chosen.
        let made_up = world.host.run(|| network.attach(&world.request("third")).unwrap());
        assert_refused(&world, network, &with(&world, "second", made_up.mac), "VM third");
        world.host.run(|| network.detach(&made_up.tap).unwrap());
    }
    // Nor does a VM get the one that is made up for it when another has chosen that.
    let request = world.request("fourth");
    let taken = names::mac(network.name(), &request.scope, "fourth", "eth0");
    let thief = world.host.run(|| network.attach(&with(&world, "thief", taken)).unwrap());
    assert_refused(&world, &other, &request, "VM thief");
    // With the VM its address is free.
    for tap in [thief.tap, first.tap] {
        world.host.run(|| network.detach(&tap).unwrap());
    }
    world.host.run(|| {
        other.attach(&with(&world, "second", mac)).unwrap();
        other.attach(&request).unwrap();
    });
}

#[test]
fn an_address_of_the_host_is_refused() {
    let world = World::new();
    let network = world.open();
    for mac in [names::bridge_mac(network.name()), names::port_mac(network.name())] {
        assert_refused(&world, &network, &with(&world, "web", mac), "the host");
    }
}

#[test]
fn an_address_that_a_bridge_of_others_knows_is_refused() {
    let world = World::new();
    world.host.ip("link add svbr0 address 02:77:00:00:00:01 type bridge");
    world.host.ip("addr add 172.30.0.1/24 dev svbr0");
    world.host.ip("link set svbr0 up");
    world.host.connect("lan0", &world.internet, "lan1");
    world.host.ip("link set lan0 address 02:77:00:00:00:02 master svbr0");
    world.internet.ip("link set lan1 address 02:77:00:00:00:03");
    world.internet.ip("addr add 172.30.0.200/24 dev lan1");
    eventually(Duration::from_secs(10), "the bridge has learnt of the machine", || {
        let _ = world.internet.output("ping -c 1 -W 0.2 172.30.0.1");
        world.host.command("bridge fdb show br svbr0").contains("02:77:00:00:00:03").then_some(())
    });
    let network = world.open();
    for last in 1..=3 {
        let mac = format!("02:77:00:00:00:0{last}").parse().unwrap();
        assert_refused(&world, &network, &with(&world, "web", mac), "on the bridge");
    }
}
