//! What a program writes arrives, all of it and before its end, whoever reads how fast.

use std::time::Instant;

use smartvm_protocol::{AgentFrame, HostFrame};

use crate::host::script;
use crate::world::{World, wait_for};

#[test]
fn the_output_of_a_program_that_ends_at_once_is_whole() {
    let world = World::new();
    for _ in 0..100 {
        let outcome = world.sh("echo first; echo last");
        assert_eq!(outcome.stdout, b"first\nlast\n");
        assert_eq!(outcome.code(), 0);
    }
}

#[test]
fn output_larger_than_any_buffer_arrives_in_order() {
    let world = World::new();
    let outcome = world.sh("seq 1 2000000");
    assert_eq!(outcome.stdout.len(), 14_888_896);
    let text = String::from_utf8(outcome.stdout).unwrap();
    assert!(text.lines().zip(1..).all(|(line, number)| line.parse() == Ok(number)));
}

#[test]
fn a_grandchild_that_holds_the_output_in_silence_does_not_hold_the_exit() {
    let world = World::new();
    let outcome = world.sh("echo said; sleep 600 & exit 7");
    assert_eq!((outcome.text().as_str(), outcome.code()), ("said", 7));
    assert!(!outcome.exit().truncated);
    assert!(world.others().is_empty());
}

#[test]
fn a_grandchild_that_writes_without_an_end_is_cut_and_that_is_told() {
    let world = World::new();
    // Several, which write already: on a busy machine one alone may be silent for a while.
    let mut asked = script("yes & yes & yes & yes & read line; exit 0");
    asked.stdin = true;
    let mut session = world.exec(asked);
    session.started();
    for _ in 0..100 {
        session.expect("y\n");
    }
    session.send(&HostFrame::StdinEnd(smartvm_protocol::host::StdinEnd {}));
    let outcome = session.finish();
    assert!(outcome.exit().truncated);
    assert!(outcome.text().ends_with('y'));
    assert!(world.others().is_empty());
}

#[test]
fn a_program_that_closes_its_output_and_runs_on_exits_at_its_end() {
    let world = World::new();
    let gate = world.dir.path().join("gate");
    rustix::fs::mkfifoat(rustix::fs::CWD, &gate, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    let text = format!("echo said; exec >&- 2>&-; read line < {}; exit 5", gate.display());
    let mut session = world.exec(script(&text));
    session.started();
    session.expect("said");
    // It waits for us, so it has not ended.
    fs_err::write(&gate, "go\n").unwrap();
    assert_eq!(session.finish().code(), 5);
}

#[test]
fn a_host_that_reads_late_gets_all_that_the_program_itself_wrote() {
    let world = World::new();
    // More than the sockets between take, and a pipe full of it is left when the program ends.
    let done = world.dir.path().join("done");
    let size = 300_000;
    let text = format!("head -c {size} /dev/zero; touch {}", done.display());
    let session = world.exec(script(&text));
    wait_for("the program to have written all", || done.exists().then_some(()));
    let outcome = session.finish();
    assert_eq!((outcome.stdout.len(), outcome.exit().truncated), (size, false));
}

#[test]
fn a_host_that_never_reads_stops_its_program_and_nobody_else() {
    let world = World::new();
    let idle = world.agent_kib("VmRSS:");
    let stuck: Vec<_> = (0..20).map(|_| world.exec(script("yes"))).collect();
    // The others go on.
    let start = Instant::now();
    while start.elapsed().as_millis() < 300 {
        assert_eq!(world.sh("echo here").text(), "here");
    }
    let grown = world.agent_kib("VmRSS:").saturating_sub(idle);
    assert!(grown < 20 * 256, "20 stuck sessions took {grown} KiB");
    // A signal still arrives, and what was written before comes first.
    for session in stuck {
        session.send(&HostFrame::Signal(smartvm_protocol::host::Signal { number: 15 }));
        let outcome = session.finish();
        assert_eq!(outcome.code(), 143);
        assert!(outcome.text().starts_with("y\ny\n"));
    }
}

#[test]
fn errors_and_output_of_a_program_without_an_end_both_come() {
    let world = World::new();
    let mut session = world.exec(script("yes out & yes err >&2"));
    session.started();
    let (mut out, mut err) = (0, 0);
    while out < 1 << 20 || err < 1 << 20 {
        match session.next() {
            AgentFrame::Stdout(bytes) => out += bytes.len(),
            AgentFrame::Stderr(bytes) => err += bytes.len(),
            other => panic!("{other:?}"),
        }
    }
}
