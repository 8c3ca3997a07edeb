//! Many sessions, and hosts that do not keep to the protocol.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use smartvm_protocol::host::{Hello, Ping};
use smartvm_protocol::{AgentFrame, Feature, Features, Frame, HostFrame, RefusalCode, SessionKind};

use crate::host::{Session, script};
use crate::world::{DEADLINE, World, wait_for};

#[test]
fn two_hundred_programs_run_at_once_though_process_1_may_open_few_files() {
    let world = World::new();
    let sessions: Vec<_> = (0..200)
        .map(|number| {
            let mut session = world.exec(script(&format!("echo {number}; sleep 600")));
            session.started();
            session
        })
        .collect();
    assert!(world.others().len() >= 200);
    for (number, mut session) in sessions.into_iter().enumerate() {
        session.expect(&format!("{number}\n"));
        session.send(&HostFrame::Signal(smartvm_protocol::host::Signal { number: 9 }));
        assert_eq!(session.finish().code(), 137);
    }
    assert!(world.others().is_empty());
}

#[test]
fn sessions_beyond_the_limit_are_refused_and_there_is_room_again_later() {
    let world = World::new();
    let limit = world.sessions_max();
    let mut open: Vec<_> = (0..limit).map(|_| world.control()).collect();
    let mut beyond = Session::open(&world, SessionKind::Control, &[]);
    match beyond.next() {
        AgentFrame::Refused(refusal) => assert_eq!(refusal.code, RefusalCode::TooManySessions),
        other => panic!("{other:?}"),
    }
    open.truncate(10);
    wait_for("room for one more", || {
        let mut session = Session::open(&world, SessionKind::Control, &[]);
        matches!(session.next(), AgentFrame::Welcome(_)).then_some(())
    });
}

#[test]
fn ten_thousand_sessions_leave_nothing_behind() {
    let world = World::new();
    let ping = || {
        let mut session = world.control();
        session.send(&HostFrame::Ping(Ping { nonce: 7 }));
        assert!(matches!(session.next(), AgentFrame::Pong(pong) if pong.nonce == 7));
    };
    (0..1000).for_each(|_| ping());
    let before = world.agent_kib("VmRSS:");
    (0..9000).for_each(|_| ping());
    let after = world.agent_kib("VmRSS:");
    assert!(after <= before + 512, "{before} KiB became {after} KiB");
    wait_for("their threads to end", || (world.agent_kib("Threads:") < 5).then_some(()));
}

#[test]
fn an_idle_agent_is_small() {
    let world = World::new();
    world.sh("true");
    assert!(world.agent_kib("VmRSS:") <= 3 << 10, "{} KiB", world.agent_kib("VmRSS:"));
    let size = fs_err::metadata(smartvm_testkit::fixtures::agent()).unwrap().len();
    assert!(size <= 2 << 20, "{size} bytes");
}

#[test]
fn a_host_that_speaks_nonsense_is_left_alone() {
    let world = World::new();
    let nonsense: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 64],
        &[0, 0, 0, 0, 1],
        &[0, 0, 0, 0, 32],
        &[4, 0, 0, 0, 1, 0, 0, 0, 0],
        &[1, 0, 0, 0, 130, 0],
    ];
    for bytes in nonsense {
        let mut stream = UnixStream::connect(world.socket()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // It may be a reset, since the agent does not read what it does not want.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty(), "{bytes:?}: {answer:?}");
    }
    // Frames that do not belong to the session, and a start that never comes.
    for frame in [HostFrame::Ping(Ping { nonce: 1 }), HostFrame::Stdin(b"x"[..].into())] {
        let mut session = Session::open(&world, SessionKind::Exec, &[frame]);
        while session.try_next().is_some() {}
    }
    drop(Session::open(&world, SessionKind::Exec, &[]));
    assert_eq!(world.sh("echo alive").text(), "alive");
}

#[test]
fn a_newer_host_is_answered_in_the_agents_generation() {
    let world = World::new();
    let mut stream = UnixStream::connect(world.socket()).unwrap();
    let hello =
        Hello { generation: 900, features: Features::default(), session: SessionKind::Control };
    let mut bytes = Vec::new();
    HostFrame::Hello(hello).encode(&mut bytes).unwrap();
    stream.write_all(&bytes).unwrap();
    let mut chunk = [0; 256];
    let length = stream.read(&mut chunk).unwrap();
    let frame = smartvm_protocol::Decoder::<AgentFrame>::default().next(&mut &chunk[..length]);
    let Ok(Some(AgentFrame::Welcome(welcome))) = frame else { panic!("{frame:?}") };
    assert_eq!(welcome.generation, 1);
    assert!(welcome.features.has(Feature::ControlGroups));
}
