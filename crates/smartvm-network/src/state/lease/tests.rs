use std::collections::BTreeSet;
use std::thread;

use super::*;
use crate::MacAddress;
use crate::state::{GuestRecord, HostState, NetworkState};

fn state(dir: &std::path::Path) -> NetworkState {
    NetworkState::new(&HostState::open(dir).unwrap(), &InterfaceName::default_bridge())
}

fn tap(number: usize) -> InterfaceName {
    format!("svtap{number}").parse().unwrap()
}

/// A lease with its guest, as an attachment makes them.
fn attach(state: &NetworkState, subnet: Subnet, number: usize) -> Result<Ipv4Addr, LeaseError> {
    let locked = state.lock().unwrap();
    let address = locked.lease(subnet, &tap(number), None)?;
    let guest = GuestRecord {
        schema_version: 1,
        vm: format!("vm{number}"),
        iface: "eth0".to_owned(),
        tap: tap(number),
        mac: MacAddress::local([0; 5]),
        address,
        egress: None,
        published: Vec::new(),
        bounds: None,
        resolvers: Default::default(),
        owner: "/nothing".into(),
        owner_process: None,
    };
    locked.write_guest(&guest).unwrap();
    Ok(address)
}

fn detach(state: &NetworkState, address: Ipv4Addr, number: usize) {
    let locked = state.lock().unwrap();
    locked.release(address, &tap(number)).unwrap();
    locked.remove_guest(&tap(number)).unwrap();
}

#[test]
fn addresses_are_given_out_in_order_and_are_exhausted_only_when_all_are_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let state = state(dir.path());
    let subnet: Subnet = "10.0.0.0/29".parse().unwrap();
    let all: Vec<_> = (0..5).map(|it| attach(&state, subnet, it).unwrap()).collect();
    assert_eq!(all, subnet.guests().collect::<Vec<_>>());
    let error = attach(&state, subnet, 5).unwrap_err();
    assert_eq!(error.code(), "IP_EXHAUSTED");
    detach(&state, all[2], 2);
    detach(&state, all[2], 2);
    assert_eq!(attach(&state, subnet, 5).unwrap(), all[2]);
}

#[test]
fn an_address_that_was_given_back_is_not_given_out_again_soon() {
    let dir = tempfile::tempdir().unwrap();
    let state = state(dir.path());
    let subnet: Subnet = "10.0.0.0/29".parse().unwrap();
    let first = attach(&state, subnet, 0).unwrap();
    detach(&state, first, 0);
    let mut seen = BTreeSet::new();
    for number in 0..5 {
        let address = attach(&state, subnet, number).unwrap();
        detach(&state, address, number);
        seen.insert(address);
    }
    assert_eq!(seen.len(), 5);
}

#[test]
fn a_wanted_address_is_had_unless_it_is_in_use_or_no_guests() {
    let dir = tempfile::tempdir().unwrap();
    let state = state(dir.path());
    let subnet = Subnet::default();
    let taken = attach(&state, subnet, 0).unwrap();
    let locked = state.lock().unwrap();
    let want = |address: Ipv4Addr| locked.lease(subnet, &tap(1), Some(address));
    assert_eq!(want(taken).unwrap_err().code(), "IP_IN_USE");
    assert_eq!(want(subnet.gateway()).unwrap_err().code(), "INVALID_IP");
    assert_eq!(want(subnet.broadcast()).unwrap_err().code(), "INVALID_IP");
    assert_eq!(want([10, 0, 0, 9].into()).unwrap_err().code(), "INVALID_IP");
    let free: Ipv4Addr = [172, 30, 0, 77].into();
    assert_eq!(want(free).unwrap(), free);
}

#[test]
fn a_lease_whose_taker_was_killed_before_it_had_a_guest_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let state = state(dir.path());
    let subnet: Subnet = "10.0.0.0/30".parse().unwrap();
    state.lock().unwrap().lease(subnet, &tap(0), None).unwrap();
    attach(&state, subnet, 1).unwrap();
    assert_eq!(attach(&state, subnet, 2).unwrap_err().code(), "IP_EXHAUSTED");
    // Its owner gives it back as another's, which it is not.
    let address = subnet.guests().next().unwrap();
    state.lock().unwrap().release(address, &tap(0)).unwrap();
    assert_eq!(attach(&state, subnet, 2).unwrap_err().code(), "IP_EXHAUSTED");
}

#[test]
fn no_address_is_given_out_twice_by_many_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let subnet: Subnet = "10.0.0.0/24".parse().unwrap();
    let all: Vec<Ipv4Addr> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                // Each with its own descriptors, as processes have.
                let state = state(dir.path());
                scope.spawn(move || {
                    let numbers = (0..30).map(|it| thread * 30 + it);
                    numbers.map(|it| attach(&state, subnet, it).unwrap()).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 240);
}
