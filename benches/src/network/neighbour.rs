//! A polite guest beside one that floods.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use smartvm_network::Network;
use smartvm_testkit::{NetNamespace, TapGuest};

use super::{options, request};
use crate::sample::Sample;

/// Both times together are fewer connections than a guest may begin at first.
const ASKED: usize = 80;
const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a new connection with one question takes, alone and beside a guest that begins connections as fast as it
/// can.
pub(super) fn run(dir: &Path) -> anyhow::Result<()> {
    let (host, internet) = (NetNamespace::new(), NetNamespace::new());
    host.connect("uplink", &internet, "net0");
    // What is beyond is on no network of the host's.
    host.ip("addr add 198.51.100.1/32 dev uplink");
    host.ip(&format!("route add {SERVER}/32 dev uplink src 198.51.100.1"));
    host.ip(&format!("route add default via {SERVER}"));
    internet.ip(&format!("addr add {SERVER}/24 dev net0"));
    let listener = internet.run(|| TcpListener::bind((SERVER, 80)))?;
    let server = thread::spawn(move || answer(&listener));

    let network = host.run(|| Network::open(&options(dir, "neighbour")))?;
    let guest = |number| -> anyhow::Result<TapGuest> {
        let made = host.run(|| network.attach(&request(dir, number)))?;
        let (tap, mac) = (made.tap.as_str(), made.mac.to_string());
        Ok(TapGuest::new(&host, tap, &mac, &format!("{}/20", made.address), made.gateway))
    };
    let (polite, rude) = (guest(0)?, guest(1)?);
    let alone = ask(&polite)?;
    let (over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let (beside, took) = thread::scope(|scope| {
        scope.spawn(|| flood(&rude, &over, &sent));
        let begun = Instant::now();
        let beside = ask(&polite);
        over.store(true, Ordering::Relaxed);
        (beside, begun.elapsed())
    });
    let beside = beside?;
    for (when, sample) in [("alone", &alone), ("beside a flood", &beside)] {
        let (p50, p95) = (sample.percentile_ms(50), sample.percentile_ms(95));
        println!("  a connection and its answer, {when:<15} p50 {p50:.2} ms, p95 {p95:.2} ms");
    }
    let rate = sent.load(Ordering::Relaxed) as f64 / took.as_secs_f64();
    println!("  the flood: {rate:.0} new connections a second were tried");
    // One more, which ends the server.
    let to: SocketAddr = SocketAddrV4::new(SERVER, 80).into();
    let mut last = internet.run(|| TcpStream::connect(to))?;
    last.write_all(b"stop")?;
    server.join().map_err(|_| anyhow::anyhow!("the server panicked"))??;
    Ok(())
}

fn ask(guest: &TapGuest) -> anyhow::Result<Sample> {
    let to: SocketAddr = SocketAddrV4::new(SERVER, 80).into();
    let mut sample = Sample::default();
    guest.namespace.run(|| -> anyhow::Result<()> {
        for _ in 0..ASKED {
            let begun = Instant::now();
            let mut stream = TcpStream::connect_timeout(&to, PATIENCE).context("connect")?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(b"ping")?;
            stream.read_exact(&mut [0; 4]).context("be answered")?;
            sample.add(begun.elapsed());
        }
        Ok(())
    })?;
    Ok(sample)
}

/// Begins connections until it is over: each socket has a port of its own.
fn flood(guest: &TapGuest, over: &AtomicBool, sent: &AtomicU64) {
    guest.namespace.run(|| {
        while !over.load(Ordering::Relaxed) {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0));
            if socket.and_then(|socket| socket.send_to(b"spam", (SERVER, 9))).is_ok() {
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
}

/// Answers each connection's first four bytes, until they are `stop`.
fn answer(listener: &TcpListener) -> anyhow::Result<()> {
    loop {
        let (mut stream, _) = listener.accept()?;
        let mut question = [0; 4];
        stream.read_exact(&mut question)?;
        if &question == b"stop" {
            return Ok(());
        }
        stream.write_all(&question)?;
    }
}
