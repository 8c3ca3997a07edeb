//! The end of the guest.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use smartvm_protocol::host::{Facts, Shutdown};
use smartvm_protocol::shared::Role;
use smartvm_protocol::{AgentFrame, HostFrame, RefusalCode, SessionKind};

use crate::host::{Session, script};
use crate::world::World;

/// The signal that the kernel ends process 1 of a namespace with when that restarts its machine.
const RESTARTED: i32 = 1;

fn shut_down(world: &World, grace_ms: u64) {
    let mut control = world.control();
    control.send(&HostFrame::Shutdown(Shutdown { grace_ms, signal: None }));
    assert!(matches!(control.next(), AgentFrame::ShuttingDown(_)));
}

#[test]
fn programs_are_asked_to_end_and_the_guest_restarts_when_they_have() {
    let mut world = World::new();
    let said = world.dir.path().join("said");
    let text =
        format!("trap 'echo bye > {}; exit' TERM; echo ready; sleep 600 & wait", said.display());
    let mut session = world.exec(script(&text));
    session.started();
    session.expect("ready");
    shut_down(&world, 60_000);
    let status = world.wait_for_end();
    assert_eq!(status.signal(), Some(RESTARTED));
    assert_eq!(fs_err::read_to_string(said).unwrap(), "bye\n");
}

#[test]
fn a_program_that_does_not_listen_is_killed_within_the_budget() {
    let mut world = World::new();
    let mut session = world.exec(script("trap '' TERM; echo ready; while :; do sleep 600; done"));
    session.started();
    session.expect("ready");
    let start = Instant::now();
    shut_down(&world, 300);
    world.wait_for_end();
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn nothing_is_started_while_the_guest_goes_down() {
    let world = World::new();
    let mut session = world.exec(script("trap '' TERM; echo ready; while :; do sleep 600; done"));
    session.started();
    session.expect("ready");
    shut_down(&world, 20_000);
    let start = HostFrame::StartExec(script("true"));
    let mut late = Session::open(&world, SessionKind::Exec, &[start]);
    late.welcome();
    match late.next() {
        AgentFrame::Refused(refusal) => assert_eq!(refusal.code, RefusalCode::GoingDown),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_agent_tells_what_the_guest_is() {
    let world = World::new();
    let mut control = world.control();
    control.send(&HostFrame::Facts(Facts {}));
    let AgentFrame::FactsAre(facts) = control.next() else { panic!("no facts") };
    assert_eq!((facts.role, facts.execs, facts.frozen), (Role::Init, 0, false));
    let kernel = world.sh("uname -r").text();
    assert_eq!(String::from_utf8(facts.kernel).unwrap(), kernel);
    assert!(facts.uptime_ms > 0);
}
