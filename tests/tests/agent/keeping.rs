//! Programs that outlive their session.

use smartvm_protocol::host::{Detach, StartAttach, StartExec};
use smartvm_protocol::{AgentFrame, HostFrame, Lost, RefusalCode, SessionKind};

use crate::host::{Session, script};
use crate::world::{World, wait_for};

fn kept(text: &str) -> StartExec {
    StartExec { lost: Lost::Keep, stdin: true, ..script(text) }
}

fn attach(world: &World, exec: u64, stdout_from: u64) -> Session {
    let start = StartAttach { exec, stdout_from, stderr_from: 0 };
    Session::open(world, SessionKind::Attach, &[HostFrame::StartAttach(start)])
}

#[track_caller]
fn refused(mut session: Session) -> RefusalCode {
    session.welcome();
    match session.next() {
        AgentFrame::Refused(refusal) => refusal.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_kept_program_goes_on_alone_and_is_found_again_where_it_was() {
    let world = World::new();
    let mut session = world.exec(kept("echo one; read line; echo two $line; exit 3"));
    let exec = session.started().exec;
    session.expect("one\n");
    drop(session);
    let mut session = wait_for("its place to be free", || {
        let mut session = attach(&world, exec, 4);
        session.welcome();
        matches!(session.next(), AgentFrame::Started(_)).then_some(session)
    });
    session.send(&HostFrame::Stdin(b"words\n"[..].into()));
    assert_eq!(session.expect("\n"), "two words\n");
    assert_eq!(session.finish().code(), 3);
    assert_eq!(refused(attach(&world, exec, 0)), RefusalCode::NoExec);
}

#[test]
fn what_a_kept_program_said_and_how_it_ended_is_told_later() {
    let world = World::new();
    let mut session = world.exec(kept("head -c 1000000 /dev/zero; echo end; exit 8"));
    let exec = session.started().exec;
    drop(session);
    wait_for("its end", || world.others().is_empty().then_some(()));
    let outcome = wait_for("its place to be free", || {
        let outcome = attach(&world, exec, 10);
        Some(outcome.finish_or_refused()).flatten()
    });
    assert_eq!(outcome.code(), 8);
    assert!(outcome.stdout.ends_with(b"\0end\n"));
    assert_eq!(outcome.lost + outcome.stdout.len() as u64, 1_000_004 - 10);
    assert!(outcome.lost > 0, "a ring has an end");
}

#[test]
fn a_program_that_is_let_go_is_kept_from_then_on() {
    let world = World::new();
    let mut session =
        world.exec(StartExec { stdin: true, ..script("echo one; read line; echo two") });
    let exec = session.started().exec;
    session.expect("one\n");
    session.send(&HostFrame::Detach(Detach {}));
    assert!(session.finish().exit.is_none());
    let session = attach(&world, exec, 4);
    session.send(&HostFrame::Stdin(b"\n"[..].into()));
    assert_eq!(session.finish().text(), "two");
}

#[test]
fn only_one_is_attached_at_once() {
    let world = World::new();
    let mut session = world.exec(kept("echo one; read line"));
    let exec = session.started().exec;
    assert_eq!(refused(attach(&world, exec, 0)), RefusalCode::Attached);
    assert_eq!(refused(attach(&world, 999, 0)), RefusalCode::NoExec);
}

#[test]
fn programs_that_ended_unseen_are_forgotten_when_there_are_too_many() {
    let world = World::new();
    let first = {
        let mut session = world.exec(kept("true"));
        session.started().exec
    };
    wait_for("the first to be forgotten", || {
        let mut session = world.exec(kept("true"));
        session.started();
        drop(session);
        (refused_or_none(attach(&world, first, 0)) == Some(RefusalCode::NoExec)).then_some(())
    });
}

fn refused_or_none(mut session: Session) -> Option<RefusalCode> {
    session.welcome();
    match session.next() {
        AgentFrame::Refused(refusal) => Some(refusal.code),
        _ => None,
    }
}
