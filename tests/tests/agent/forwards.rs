//! Streams to ports and sockets of the guest.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixListener;
use std::thread;

use smartvm_protocol::host::{StartForward, Target};
use smartvm_protocol::{AgentFrame, HostFrame, RefusalCode, SessionKind};

use crate::host::Session;
use crate::world::World;

fn forward(world: &World, target: Target) -> Session {
    let start = HostFrame::StartForward(StartForward { target });
    let mut session = Session::open(world, SessionKind::Forward, &[start]);
    session.welcome();
    session
}

#[track_caller]
fn connected(mut session: Session) -> std::os::unix::net::UnixStream {
    assert!(matches!(session.next(), AgentFrame::ForwardStarted(_)));
    session.stream
}

#[test]
fn a_stream_to_a_port_keeps_its_bytes_and_its_half_close() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let echo = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut all = Vec::new();
        // The end of one way comes before anything is said on the other.
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(&all).unwrap();
    });
    let target = Target::Tcp { address: address.ip(), port: address.port() };
    let mut stream = connected(forward(&world, target));
    let bytes: Vec<u8> = (0..2_000_000_u32).map(|at| (at % 253) as u8).collect();
    stream.write_all(&bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    assert!(back == bytes);
    echo.join().unwrap();
}

#[test]
fn a_stream_to_a_socket_ends_with_the_one_that_ends_it() {
    let world = World::new();
    let path = world.dir.path().join("service.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let target = Target::Unix { path: path.to_str().unwrap().into() };
    let mut stream = connected(forward(&world, target.clone()));
    let (mut served, _) = listener.accept().unwrap();
    served.write_all(b"greeting").unwrap();
    drop(served);
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert_eq!(said, "greeting");

    let stream = connected(forward(&world, target));
    let (mut served, _) = listener.accept().unwrap();
    drop(stream);
    assert_eq!(served.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn who_is_not_there_is_told() {
    let world = World::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = |target| match forward(&world, target).next() {
        AgentFrame::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    };
    let nobody = refused(Target::Tcp { address: free.ip(), port: free.port() });
    assert_eq!(nobody.errno, Some(111), "{}", nobody.told());
    let missing = refused(Target::Unix { path: b"/no/such.sock".to_vec() });
    assert_eq!(missing.code, RefusalCode::NoFile);
    assert_eq!(refused(Target::Unix { path: vec![b'x'; 200] }).code, RefusalCode::Protocol);
}

#[test]
fn a_side_that_never_reads_holds_up_nobody_else() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let target = Target::Tcp { address: address.ip(), port: address.port() };
    let stream = connected(forward(&world, target));
    let (_never_reads, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    // Until nothing more goes, which the kernel's buffers on the way decide.
    while (&stream).write(&[0; 65_536]).is_ok() {}
    assert_eq!(world.sh("echo here").text(), "here");
    assert!(world.agent_kib("VmRSS:") < 4 << 10);
}
