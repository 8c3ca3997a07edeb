//! Programs with a terminal.

use smartvm_protocol::HostFrame;
use smartvm_protocol::host::{Resize, Signal, StartExec, StdinEnd};
use smartvm_protocol::shared::TerminalSize;

use crate::host::script;
use crate::world::World;

fn on_terminal(text: &str) -> StartExec {
    let size = TerminalSize { rows: 33, columns: 121 };
    StartExec { terminal: Some(size), stdin: true, ..script(text) }
}

fn typed(text: &str) -> HostFrame {
    HostFrame::Stdin(text.as_bytes().into())
}

#[test]
fn a_terminal_has_its_size_from_the_start_and_is_the_programs_own() {
    let world = World::new();
    let outcome = world
        .exec(on_terminal("stty size; echo $TERM; tty >/dev/tty; ps -o tpgid= -p $$ >&2"))
        .finish();
    let text = outcome.text().replace('\r', "");
    assert!(text.starts_with("33 121\nxterm\n/dev/pts/"), "{text}");
    assert!(outcome.stderr.is_empty());
    assert_eq!(outcome.code(), 0);
}

#[test]
fn another_size_is_told_to_the_program() {
    let world = World::new();
    let text = "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done";
    let mut session = world.exec(on_terminal(text));
    session.started();
    session.expect("ready");
    session.send(&HostFrame::Resize(Resize { size: TerminalSize { rows: 50, columns: 200 } }));
    assert!(session.finish().text().contains("50 200"));
}

#[test]
fn keys_of_a_terminal_interrupt_and_end() {
    let world = World::new();
    let mut session = world.exec(on_terminal("trap 'echo caught; exit 9' INT; echo ready; cat"));
    session.started();
    session.expect("ready");
    session.send(&typed("echoed\n"));
    // By the terminal, and then by the program, which is there to be interrupted.
    session.expect("echoed\r\nechoed\r\n");
    session.send(&typed("\x03"));
    assert_eq!(session.finish().code(), 9);

    let session = world.exec(on_terminal("cat; echo over"));
    session.send(&typed("line\n"));
    session.send(&HostFrame::StdinEnd(StdinEnd {}));
    assert!(session.finish().text().replace('\r', "").ends_with("line\nover"));
}

#[test]
fn a_terminal_that_a_grandchild_keeps_open_does_not_hold_the_exit() {
    let world = World::new();
    let outcome = world.exec(on_terminal("trap '' HUP; sleep 600 & echo said; exit 6")).finish();
    assert_eq!((outcome.text().as_str(), outcome.code()), ("said", 6));
    assert!(world.others().is_empty());
}

#[test]
fn a_terminals_program_gets_signals_and_hangs_up_with_its_host() {
    let world = World::new();
    let mut session = world.exec(on_terminal("echo ready; exec sleep 600"));
    session.started();
    session.expect("ready");
    session.send(&HostFrame::Signal(Signal { number: 1 }));
    assert_eq!(session.finish().code(), 129);
}

#[test]
fn much_output_of_a_terminal_is_whole() {
    let world = World::new();
    let outcome = world.exec(on_terminal("stty -opost; seq 1 200000")).finish();
    assert_eq!(outcome.stdout.len(), 1_288_895);
}
