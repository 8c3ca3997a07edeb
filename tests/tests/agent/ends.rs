//! How programs end: truly told, with all that they started, and reaped.

use smartvm_protocol::HostFrame;
use smartvm_protocol::agent::Ended;
use smartvm_protocol::host::Signal;

use crate::host::script;
use crate::world::{World, wait_for};

#[test]
fn a_code_and_a_signal_are_not_taken_for_each_other() {
    let world = World::new();
    assert_eq!(world.sh("exit 137").exit().ended, Ended::Code(137));
    let killed = Ended::Signal { number: 9, core: false };
    assert_eq!(world.sh("kill -9 $$").exit().ended, killed);
    assert_eq!(world.sh("kill -15 $$").code(), 143);
    assert_eq!(world.sh("exit 255").exit().ended, Ended::Code(255));
}

#[test]
fn a_signal_reaches_the_whole_group() {
    let world = World::new();
    let mut session = world.exec(script("sleep 600 & sleep 600 & echo ready; wait"));
    session.started();
    session.expect("ready");
    session.send(&HostFrame::Signal(Signal { number: 15 }));
    assert_eq!(session.finish().code(), 143);
    assert!(world.others().is_empty());
}

#[test]
fn what_hides_in_a_session_of_its_own_ends_with_its_program() {
    let world = World::new();
    let outcome =
        world.sh("setsid sh -c 'exec >&- 2>&-; trap \"\" TERM; sleep 600 & wait' & exit 0");
    assert_eq!(outcome.code(), 0);
    assert!(world.others().is_empty());
}

#[test]
fn a_program_ends_with_its_host_and_with_all_that_it_started() {
    let world = World::new();
    let mut session = world.exec(script("trap '' TERM HUP; setsid sleep 600 & echo ready; wait"));
    session.started();
    session.expect("ready");
    drop(session);
    wait_for("the program's end", || world.others().is_empty().then_some(()));
}

#[test]
fn a_program_that_takes_too_long_is_killed_and_that_is_told() {
    let world = World::new();
    let mut asked = script("trap '' TERM; echo began; sleep 600 & wait");
    asked.timeout_ms = Some(200);
    let outcome = world.exec(asked).finish();
    assert!(outcome.exit().timed_out);
    assert_eq!((outcome.text().as_str(), outcome.code()), ("began", 137));
    let mut asked = script("exit 1");
    asked.timeout_ms = Some(60_000);
    assert!(!world.exec(asked).finish().exit().timed_out);
}

#[test]
fn orphans_are_reaped_and_no_status_is_stolen() {
    let world = World::new();
    // Each leaves orphans, which end at about the time that it does itself.
    let sessions: Vec<_> = (0..60_u8)
        .map(|code| {
            let orphans = "for n in 1 2 3 4 5; do setsid true & done";
            (code, world.exec(script(&format!("{orphans}; exit {code}"))))
        })
        .collect();
    for (code, session) in sessions {
        assert_eq!(session.finish().code(), code);
    }
    wait_for("no zombie", || {
        let zombies = world.sh("grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l");
        (zombies.text() == "0").then_some(())
    });
}

#[test]
fn what_a_program_used_is_told() {
    let world = World::new();
    let outcome = world.sh("n=0; while [ $n -lt 100000 ]; do n=$((n + 1)); done");
    let exit = outcome.exit();
    assert!(exit.user_us + exit.system_us > 1000, "{exit:?}");
    assert!(exit.peak_rss > 100 << 10, "{exit:?}");
}
