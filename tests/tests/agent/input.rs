//! What a program reads.

use smartvm_protocol::host::{Signal, StdinEnd};
use smartvm_protocol::{AgentFrame, HostFrame, STDIN_WINDOW};

use crate::host::script;
use crate::world::World;

fn stdin(bytes: &[u8]) -> HostFrame {
    HostFrame::Stdin(bytes.into())
}

#[test]
fn a_program_reads_its_input_to_the_end() {
    let world = World::new();
    let mut asked = script("cat; echo end");
    asked.stdin = true;
    let session = world.exec(asked);
    session.send(&stdin(b"some\0bytes\n"));
    session.send(&HostFrame::StdinEnd(StdinEnd {}));
    assert_eq!(session.finish().stdout, b"some\0bytes\nend\n");
}

#[test]
fn a_program_without_input_reads_the_end_of_it() {
    let world = World::new();
    assert_eq!(world.sh("cat; echo end").text(), "end");
}

#[test]
fn the_end_of_a_program_does_not_wait_for_the_end_of_its_input() {
    let world = World::new();
    let mut asked = script("exit 4");
    asked.stdin = true;
    assert_eq!(world.exec(asked).finish().code(), 4);
}

#[test]
fn much_input_goes_through_by_its_window() {
    let world = World::new();
    let mut asked = script("wc -c");
    asked.stdin = true;
    let mut session = world.exec(asked);
    session.started();
    let (total, mut sent, mut credit) = (20_u32 << 20, 0, STDIN_WINDOW);
    while sent < total {
        if credit == 0 {
            match session.next() {
                AgentFrame::StdinCredit(more) => credit += more.bytes,
                other => panic!("{other:?}"),
            }
            continue;
        }
        let some = credit.min(60_000).min(total - sent);
        session.send(&stdin(&vec![b'x'; some as usize]));
        (sent, credit) = (sent + some, credit - some);
    }
    session.send(&HostFrame::StdinEnd(StdinEnd {}));
    assert_eq!(session.finish().text(), total.to_string());
}

#[test]
fn a_signal_overtakes_input_that_nobody_reads() {
    let world = World::new();
    let mut asked = script("echo ready; exec sleep 600");
    asked.stdin = true;
    let mut session = world.exec(asked);
    session.started();
    session.expect("ready");
    session.send(&stdin(&vec![0; STDIN_WINDOW as usize]));
    session.send(&HostFrame::Signal(Signal { number: 2 }));
    assert_eq!(session.finish().code(), 130);
}

#[test]
fn a_host_that_sends_beyond_the_window_loses_its_program() {
    let world = World::new();
    let mut asked = script("echo ready; exec sleep 600");
    asked.stdin = true;
    let mut session = world.exec(asked);
    session.started();
    session.expect("ready");
    let beyond = stdin(&vec![0; STDIN_WINDOW as usize]);
    // The agent may have closed before the last.
    while session.try_send(&beyond).is_ok() {}
    assert!(session.finish().exit.is_none());
    crate::world::wait_for("the program's end", || world.others().is_empty().then_some(()));
}
