//! Every step of set-up and removal fails once, and is the last of a process once.

use smartvm_network::netlink::NetlinkError;
use smartvm_network::wireguard::WireGuardStep;

use super::world::{DEADLINE, World, egress, existing};

fn injected() -> NetlinkError {
    NetlinkError::new("do as the test wants with", "this step", std::io::ErrorKind::Other.into())
}

/// Fails the step of that number, counted from 0; counts them.
fn failing(at: usize, count: &mut usize) -> impl FnMut(WireGuardStep) -> Result<(), NetlinkError> {
    move |_| {
        let this = *count;
        *count += 1;
        if this == at { Err(injected()) } else { Ok(()) }
    }
}

#[test]
fn a_set_up_that_fails_at_any_step_leaves_the_host_as_it_was() {
    let world = World::new();
    let before = world.state();
    for at in 0.. {
        let mut steps = 0;
        let done =
            world.host.run(|| egress().ensure_stepwise(&existing(), &mut failing(at, &mut steps)));
        if at == steps {
            done.unwrap();
            assert_eq!(steps, 5, "three rules and two routes");
            break;
        }
        let error = done.unwrap_err();
        assert_eq!(error.code(), "WIREGUARD_SETUP_FAILED");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("as the test wants"), "the first error is told: {source}");
        assert!(error.not_undone().is_empty());
        assert_eq!(world.state(), before, "step {at}");
    }
}

/// Ends the process' part in the work at a step, without any undoing, as kill -9 does.
fn ended(at: usize) -> impl FnMut(WireGuardStep) -> Result<(), NetlinkError> {
    let mut count = 0;
    move |_| {
        if count == at {
            std::panic::resume_unwind(Box::new("the end, as the test wants it"));
        }
        count += 1;
        Ok(())
    }
}

#[test]
fn a_set_up_that_ends_at_any_step_leaves_no_other_way_and_the_next_one_finishes_or_removes_it() {
    let world = World::new();
    let before = world.state();
    let traffic = world.traffic();
    for at in 0..5 {
        for finish in [true, false] {
            world.host.run(|| {
                let ended = std::panic::catch_unwind(|| {
                    egress().ensure_stepwise(&existing(), &mut ended(at))
                });
                ended.unwrap_err();
            });
            // From the first step on, the lock is there.
            if at > 0 {
                let capture = world.capture();
                world.expect_closed(&traffic, &capture, &format!("after step {at}"));
            }
            if finish {
                world.host.run(|| egress().ensure(&existing()).unwrap());
                traffic.expect_answer("peer", DEADLINE);
            }
            world.host.run(|| egress().remove().unwrap());
            assert_eq!(world.state(), before, "step {at}");
        }
    }
}

#[test]
fn a_removal_goes_on_past_what_fails_and_the_next_one_finishes_it() {
    let world = World::new();
    let before = world.state();
    for at in 0..5 {
        world.host.run(|| egress().ensure(&existing()).unwrap());
        let mut steps = 0;
        let done = world.host.run(|| egress().remove_stepwise(&mut failing(at, &mut steps)));
        let error = done.unwrap_err();
        assert_eq!((error.code(), error.failures().len()), ("WIREGUARD_CLEANUP_FAILED", 1));
        assert_eq!(steps, 5, "no step is left out");
        world.host.run(|| egress().remove().unwrap());
        assert_eq!(world.state(), before, "step {at}");
    }
}

#[test]
fn a_removal_that_ends_at_any_step_is_closed_until_its_last_one() {
    let world = World::new();
    let before = world.state();
    let traffic = world.traffic();
    for at in 0..5 {
        world.host.run(|| egress().ensure(&existing()).unwrap());
        let capture = world.capture();
        world.host.run(|| {
            let ended = std::panic::catch_unwind(|| egress().remove_stepwise(&mut ended(at)));
            ended.unwrap_err();
        });
        world.expect_closed(&traffic, &capture, &format!("after step {at}"));
        world.host.run(|| egress().remove().unwrap());
        assert_eq!(world.state(), before, "step {at}");
    }
}
