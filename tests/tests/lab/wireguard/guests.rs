//! Two Linux guests behind WireGuard, and a recording of the uplink.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Instant;

use smartvm::NetworkInterfaceConfig;
use smartvm_network::WireGuardOptions;
use smartvm_testkit::{NetNamespace, PacketCapture, TestHome, eventually, fixtures};

use super::world::{DEADLINE, WORLD, World, config};
use crate::guest::{BOOT_ARGS, BOOT_DEADLINE, Guest, Lab, PROMPT, in_huge_pages};

/// The port at which each part of the world says its name over TCP.
const NAME_PORT: u16 = 80;
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// In the guest's shell: calls the world by TCP, UDP and ICMP without end.
const CALLS: &str = "{ while :; do echo clear | nc -w 1 198.51.100.1 80; \
    nslookup clear 198.51.100.1; ping -c 1 -W 1 198.51.100.1; done >/dev/null 2>&1 & }";
/// How many more packets of guests are waited for before the uplink is looked at.
const PACKETS: u64 = 12;

/// Says `name` to whoever connects, as long as the test runs.
fn say_name(namespace: &NetNamespace, address: Ipv4Addr, name: &'static str) {
    let listener = namespace.run(|| TcpListener::bind((address, NAME_PORT)).unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A caller that is gone is no fault of ours.
            let _ = stream.and_then(|mut stream| writeln!(stream, "{name}"));
        }
    });
}

/// What is on the uplink that is not the tunnel's and not of the host's own links: a guest's packet, in the
/// clear.
fn leaks(capture: &PacketCapture) -> Vec<String> {
    capture.pick(|frame| {
        let shown = || frame.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let kind = frame.get(12..14)?;
        let innocent = match kind {
            [0x08, 0x06] => true,
            [0x08, 0x00] => is_tunnel(frame) || frame.windows(5).any(|it| it == b"fence"),
            // Links speak of themselves, from an address of their own or from none yet.
            [0x86, 0xdd] => frame[22..38] == [0; 16] || frame[22..24] == [0xfe, 0x80],
            _ => false,
        };
        (!innocent).then(shown)
    })
}

/// UDP from or to the port of the peer, or an ICMP error about that.
fn is_tunnel(frame: &[u8]) -> bool {
    let port = |at: usize| frame.get(at..at + 2) == Some(&51820_u16.to_be_bytes()[..]);
    match frame.get(23) {
        Some(17) => port(34) || port(36),
        Some(1) => {
            frame.get(34) == Some(&3) && frame.get(51) == Some(&17) && (port(62) || port(64))
        }
        _ => false,
    }
}

/// How many packets came from guests so far, on whatever links there are.
fn from_guests(world: &World) -> u64 {
    let links = world.host.ip("-s -j link show type tun");
    let links: serde_json::Value = serde_json::from_str(&links).unwrap();
    let count = |link: &serde_json::Value| link["stats64"]["rx"]["packets"].as_u64().unwrap();
    links.as_array().unwrap().iter().map(count).sum()
}

/// After some more packets of the guests, there is none of them on the uplink.
#[track_caller]
fn expect_closed(world: &World, capture: &PacketCapture, calling: bool, what: &str) {
    if calling {
        let before = from_guests(world);
        eventually(DEADLINE, "the guests call on", || {
            (from_guests(world) >= before + PACKETS).then_some(())
        });
    }
    capture.expect(b"fence", DEADLINE, || {
        world.host.run(|| {
            let socket = std::net::UdpSocket::bind("192.0.2.1:0").unwrap();
            socket.send_to(b"fence", "192.0.2.2:9").unwrap();
        });
    });
    let leaks = leaks(capture);
    assert!(leaks.is_empty(), "{} in the clear: {what}: {}", leaks.len(), leaks[0]);
}

/// Who answers at an address.
async fn who(guest: &mut Guest, address: Ipv4Addr) -> String {
    guest.run(&format!("nc -w 3 {address} {NAME_PORT} </dev/null 2>/dev/null")).await
}

/// Asks until the peer answers: the first packets may find no handshake yet.
async fn expect_peer(guest: &mut Guest) {
    for _ in 0..10 {
        match who(guest, WORLD).await.as_str() {
            "peer" => return,
            "" => {}
            other => panic!("{other} answers"),
        }
    }
    panic!("the peer is not reached");
}

/// Boots a guest with the command, as another manager, lets it call, and kills the command.
fn kill_a_manager(world: &World, home: &TestHome, capture: &PacketCapture) {
    let file = home.path().join("wg0.conf");
    fs_err::write(&file, config("203.0.113.10:51820")).unwrap();
    let mut manager = boot_by_command(world, home, &file);
    let calls = format!("nc -w 9 {WORLD} {NAME_PORT}; echo done:$((6 * 7)); {CALLS}\n");
    manager.stdin.write_all(calls.as_bytes()).unwrap();
    manager.wait_for("done:42").unwrap();
    assert!(manager.said().contains("\npeer"), "{}", manager.said());
    expect_closed(world, capture, true, "a guest of the command");
    manager.kill();
    expect_closed(world, capture, false, "its manager was killed");
}

/// As [`Lab::boot_config`], but with the command.
fn boot_by_command(world: &World, home: &TestHome, file: &Path) -> Manager {
    for last_try in [false, true] {
        let mut manager = Manager::start(world, home, file);
        match manager.wait_for(PROMPT) {
            Ok(()) => return manager,
            Err(said) if last_try => panic!("the guest did not boot: {said}"),
            Err(said) => eprintln!("RETRY: the guest did not boot: {said}"),
        }
        manager.kill();
    }
    unreachable!("the last try returns or panics")
}

/// A running `smartvm run`.
struct Manager {
    child: Child,
    stdin: ChildStdin,
    console: PathBuf,
}

impl Manager {
    fn start(world: &World, home: &TestHome, file: &Path) -> Self {
        let mut command = Command::new(fixtures::command());
        command.arg("--firecracker").arg(fixtures::firecracker());
        command.arg("--data-dir").arg(home.data_dir()).arg("--runtime-dir").arg(home.runtime_dir());
        command.arg("--network-dir").arg(home.path().join("net"));
        command.args(["run", "--no-jail", "--memory", "256", "--boot-args", BOOT_ARGS]);
        command.args(["--network", "eth0", "--wireguard"]).arg(file);
        command.arg("--rootfs").arg(fixtures::rootfs_ext4());
        let console = home.path().join("console");
        let output = fs_err::File::create(&console).unwrap().into_file();
        let errors = output.try_clone().unwrap();
        command.stdin(Stdio::piped()).stdout(output).stderr(errors);
        let mut child = world.host.run(|| command.spawn()).unwrap();
        let stdin = child.stdin.take().unwrap();
        Self { child, stdin, console }
    }

    fn said(&self) -> String {
        fs_err::read_to_string(&self.console).unwrap()
    }

    /// Waits for a text, or returns what there was instead until the command ended or time was over.
    fn wait_for(&mut self, text: &str) -> Result<(), String> {
        let deadline = Instant::now() + BOOT_DEADLINE;
        eventually(2 * BOOT_DEADLINE, "the command speaks or ends", || {
            let over = self.child.try_wait().unwrap().is_some() || Instant::now() > deadline;
            match self.said() {
                said if said.contains(text) => Some(Ok(())),
                said => over.then_some(Err(said)),
            }
        })
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn two_linux_guests_speak_to_the_peer_alone_whatever_happens() {
    let world = World::without_guest();
    say_name(&world.internet, WORLD, "internet");
    say_name(&world.peer, WORLD, "peer");
    for address in ["192.0.2.1".parse().unwrap(), METADATA] {
        if address == METADATA {
            world.host.ip(&format!("addr add {METADATA}/32 dev lo"));
        }
        say_name(&world.host, address, "host");
    }
    let before = world.state();
    let capture = world.capture();
    world.host.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(scenario(&world, &capture));
    });
    assert_eq!(world.state(), before);
    expect_closed(&world, &capture, false, "after all");
}

async fn scenario(world: &World, capture: &PacketCapture) {
    let lab = Lab::with(|options, home| {
        options.network_state_dir = home.path().join("net");
        options.wireguard = Some(WireGuardOptions {
            config: Some(config("203.0.113.10:51820").into()),
            ..WireGuardOptions::default()
        });
    });
    kill_a_manager(world, &lab.home, capture);
    // As the next manager does when it comes.
    lab.smartvm.sweep().unwrap();
    expect_closed(world, capture, false, "what the killed manager left was swept");

    let mut config = in_huge_pages(lab.config(fixtures::rootfs_ext4(), false));
    config.network_interfaces =
        vec![NetworkInterfaceConfig { iface_id: "net".into(), ..Default::default() }];
    // A start while the peer is dead: the guest calls, and nobody hears it.
    world.peer.ip("link del wg0");
    let mut one = lab.boot_config(&config).await;
    one.run(CALLS).await;
    assert_eq!(who(&mut one, WORLD).await, "");
    expect_closed(world, capture, true, "started while the peer was dead");
    world.start_peer();
    expect_peer(&mut one).await;
    let mut two = lab.boot_config(&config).await;
    two.run(CALLS).await;
    expect_peer(&mut two).await;
    expect_closed(world, capture, true, "two guests");

    closed_to(&mut one, &mut two).await;

    world.host.ip("link del svwg0");
    // Whoever owns a guest there makes it again, with the keys that it has kept in its memory.
    expect_peer(&mut one).await;
    expect_peer(&mut two).await;
    expect_closed(world, capture, true, "the interface was lost");
    // The next start finds it as it is to be, for the other guest as well.
    two.vm.stop_within(DEADLINE).await.unwrap();
    two.vm.cleanup().await.unwrap();
    expect_closed(world, capture, true, "the interface was lost, and a guest stopped");
    let mut two = lab.boot_config(&config).await;
    two.run(CALLS).await;
    expect_peer(&mut two).await;
    expect_peer(&mut one).await;
    expect_closed(world, capture, true, "restarted");

    spoofing(world, &mut two, capture).await;

    for guest in [one, two] {
        guest.vm.stop_within(DEADLINE).await.unwrap();
        guest.vm.cleanup().await.unwrap();
    }
    lab.smartvm.cleanup().await.unwrap();
    expect_closed(world, capture, false, "stopped");
}

/// Neither the metadata address, nor a service of the host, nor the other guest.
async fn closed_to(one: &mut Guest, two: &mut Guest) {
    let own = two.run("ip -4 -o addr show dev eth0").await;
    let own = own.split("inet ").nth(1).unwrap().split('/').next().unwrap().to_owned();
    two.run("{ (while :; do echo neighbour | nc -l -p 80; done) & } 2>/dev/null").await;
    assert_eq!(two.run(&format!("nc -w 3 {own} 80 </dev/null")).await, "neighbour");
    for closed in [METADATA, "192.0.2.1".parse().unwrap(), own.parse().unwrap()] {
        assert_eq!(who(one, closed).await, "", "{closed}");
    }
}

/// In another's name, not even the tunnel is reached.
async fn spoofing(world: &World, guest: &mut Guest, capture: &PacketCapture) {
    let spoofed = PacketCapture::start(&world.peer);
    let ping = |from: &str| format!("ping -c 2 -W 2 {from} {WORLD} >/dev/null 2>&1; echo $?");
    assert_eq!(guest.run(&ping("")).await, "0");
    guest.run("ip addr add 172.30.0.77/24 dev eth0").await;
    assert_eq!(guest.run(&ping("-I 172.30.0.77")).await, "1");
    guest.run("ip addr add 203.0.113.77/32 dev eth0").await;
    assert_eq!(guest.run(&ping("-I 203.0.113.77")).await, "1");
    guest.run("ip link set eth0 address 02:00:00:00:00:77").await;
    assert_eq!(guest.run(&ping("")).await, "1");
    for address in [[172, 30, 0, 77], [203, 0, 113, 77]] {
        assert_eq!(spoofed.count(&address), 0, "{address:?}");
    }
    expect_closed(world, capture, true, "in another's name");
}
