//! What others do to our rules is mended by whoever uses a network.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use smartvm_network::{Network, NetworkReport};
use smartvm_testkit::eventually;

use super::world::{Guest, HOST, INTERNET, LONG, SHORT, Server, World, connect, talk};

/// Within which a change is mended.
const SOON: Duration = Duration::from_secs(1);

fn watched() -> World {
    let mut world = World::new();
    world.options.watch = true;
    world
}

fn in_force(world: &World) -> bool {
    world
        .host
        .run(|| NetworkReport::all(&world.options.state_dir).unwrap().remove(0).rules_in_force)
}

/// What was said.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn start() -> Self {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false);
        subscriber.with_writer(move || writer.clone()).init();
        log
    }

    fn count(&self, text: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock().unwrap()).matches(text).count()
    }
}

/// Calls the host without pause, and keeps what came through.
fn calls_the_host(guest: &Guest, stop: &AtomicBool) -> Vec<TcpStream> {
    let mut through = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let to = std::net::SocketAddrV4::new(HOST, 80).into();
        let namespace = &guest.inside.namespace;
        let stream = namespace.run(|| TcpStream::connect_timeout(&to, Duration::from_millis(20)));
        through.extend(stream);
    }
    through
}

#[test]
fn rules_that_another_program_removes_are_back_within_a_second_and_it_is_told_once() {
    let log = Log::start();
    let world = watched();
    let networks: Vec<Network> = (0..4).map(|_| world.open()).collect();
    let _servers = [Server::new(&world.host, 80), Server::new(&world.internet, 80)];
    let guest = world.attach(&networks[0], &world.request("web"));
    let mut kept = connect(&guest, INTERNET, 80);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let caller = scope.spawn(|| calls_the_host(&guest, &stop));
        for (number, damage) in [
            "nft flush ruleset",
            "nft delete table inet smartvm-svbr0",
            "nft flush chain inet smartvm-svbr0 to_host",
            "nft insert rule inet smartvm-svbr0 to_host accept",
            "nft delete table bridge smartvm-svbr0",
            "nft flush table inet smartvm-svbr0",
        ]
        .into_iter()
        .enumerate()
        {
            assert!(in_force(&world));
            world.host.command(damage);
            let begun = Instant::now();
            eventually(SOON, damage, || in_force(&world).then_some(()));
            println!("{damage}: mended after {:?}", begun.elapsed());
            eventually(SOON, "it is told", || {
                (log.count("another program has changed the rules") > number).then_some(())
            });
        }
        stop.store(true, Ordering::Relaxed);
        // What came through in between does not go on.
        let mut through = caller.join().unwrap();
        println!("{} connections came through in between", through.len());
        assert!(through.iter_mut().all(|stream| !talk(stream, SHORT)));
    });
    assert!(guest.no_tcp(HOST, 80) && guest.tcp(INTERNET, 80));
    assert!(talk(&mut kept, LONG), "what is allowed goes on");
    assert_eq!(log.count("another program has changed the rules"), 6);
    // Our own changes are none of another program's.
    let other = world.attach(&networks[1], &world.request("other"));
    world.host.run(|| networks[2].detach(&other.attachment.tap).unwrap());
    world.host.run(|| networks[3].set_policy(Default::default(), Default::default()).unwrap());
    for network in networks {
        world.host.run(|| network.close().unwrap());
    }
    assert_eq!(log.count("another program has changed the rules"), 6);
}

#[test]
fn a_network_that_the_host_joins_is_closed_to_guests_from_then_on() {
    let world = watched();
    world.internet.ip("addr add 198.51.100.2/32 dev lo");
    let network = world.open();
    let _server = Server::new(&world.internet, 80);
    let guest = world.attach(&network, &world.request("web"));
    let neighbour = "198.51.100.2".parse().unwrap();
    let mut stream = connect(&guest, neighbour, 80);
    assert!(talk(&mut stream, LONG));
    world.host.ip("addr add 198.51.100.1/24 dev uplink");
    let listed = || world.host.command("nft list chain inet smartvm-svbr0 unsaid");
    eventually(SOON, "it is closed", || listed().contains("198.51.100.0/24").then_some(()));
    assert!(guest.no_tcp(neighbour, 80));
    eventually(SOON, "what was begun is cut", || (!talk(&mut stream, SHORT)).then_some(()));
    world.host.ip("addr del 198.51.100.1/24 dev uplink");
    eventually(SOON, "it is open again", || (!listed().contains("198.51.100.0/24")).then_some(()));
    assert!(guest.tcp(neighbour, 80));
    // A network that goes does so whatever comes meanwhile.
    world.host.run(|| network.detach(&guest.attachment.tap).unwrap());
    world.host.ip("addr add 203.0.113.1/24 dev uplink");
    assert!(world.host.run(|| network.close().unwrap()));
    assert!(!world.host.command("nft list ruleset").contains("smartvm-"));
}
