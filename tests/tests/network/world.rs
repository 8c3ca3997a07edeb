//! A host, what lies beyond it, and guests: each a network namespace.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use smartvm_network::{AttachGuest, Attachment, Network, NetworkOptions};
use smartvm_testkit::{NetNamespace, TapGuest};
use tempfile::TempDir;

/// How long what is let through may take. Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait for what is to be refused: a packet within namespaces takes microseconds.
const REFUSED: Duration = Duration::from_millis(400);

/// How long to wait for an answer on a connection that stands, and on one that was cut.
pub(crate) const LONG: Duration = PATIENCE;
pub(crate) const SHORT: Duration = REFUSED;

/// The host's address towards the internet, and another of its.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const HOST_OTHER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 11);
/// A machine beyond the host, with more addresses.
pub(crate) const INTERNET: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
pub(crate) const INTERNET_PRIVATE: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
pub(crate) const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

pub(crate) struct World {
    pub(crate) host: NetNamespace,
    pub(crate) internet: NetNamespace,
    pub(crate) dir: TempDir,
    pub(crate) options: NetworkOptions,
}

impl World {
    /// A host with a way to the internet.
    pub(crate) fn new() -> Self {
        let (host, internet) = (NetNamespace::new(), NetNamespace::new());
        host.connect("uplink", &internet, "net0");
        // As many a cloud has it: what is beyond is on no network of the host's.
        host.ip(&format!("addr add {HOST}/32 dev uplink"));
        host.ip(&format!("addr add {HOST_OTHER}/32 dev uplink"));
        host.ip(&format!("route add {INTERNET}/32 dev uplink src {HOST}"));
        host.ip("addr add 2001:db8::1/64 dev uplink nodad");
        host.ip(&format!("route add default via {INTERNET}"));
        host.ip(&format!("route add {METADATA}/32 via {INTERNET}"));
        internet.ip(&format!("addr add {INTERNET}/24 dev net0"));
        internet.ip("addr add 2001:db8::2/64 dev net0 nodad");
        for address in [INTERNET_PRIVATE, METADATA] {
            internet.ip(&format!("addr add {address}/32 dev lo"));
        }
        let dir = tempfile::tempdir().unwrap();
        // Tests look at what holds without anybody who mends it.
        let options = NetworkOptions {
            state_dir: dir.path().join("state"),
            watch: false,
            ..NetworkOptions::default()
        };
        Self { host, internet, dir, options }
    }

    pub(crate) fn open(&self) -> Network {
        self.host.run(|| Network::open(&self.options).unwrap())
    }

    /// A lock that is held until the value goes, as that of an owner who lives.
    pub(crate) fn owner(&self, name: &str) -> (PathBuf, std::fs::File) {
        let path = self.dir.path().join(name);
        let file = fs_err::File::create(&path).unwrap().into_file();
        file.lock().unwrap();
        (path, file)
    }

    pub(crate) fn request(&self, vm: &str) -> AttachGuest {
        let owner = self.dir.path().join("owner");
        if !owner.exists() {
            fs_err::write(&owner, "").unwrap();
        }
        AttachGuest {
            vm: vm.to_owned(),
            iface: "eth0".to_owned(),
            scope: self.dir.path().display().to_string(),
            owner,
            owner_process: None,
            uid: 0,
            gid: 0,
            mac: None,
            address: None,
            egress: None,
            published: Vec::new(),
            bounds: None,
            resolvers: Default::default(),
        }
    }

    pub(crate) fn attach(&self, network: &Network, request: &AttachGuest) -> Guest {
        let attachment = self.host.run(|| network.attach(request).unwrap());
        self.guest(attachment)
    }

    /// A stand-in behind an interface.
    pub(crate) fn guest(&self, attachment: Attachment) -> Guest {
        let address = format!("{}/24", attachment.address);
        let (tap, mac) = (attachment.tap.as_str(), attachment.mac.to_string());
        let inside = TapGuest::new(&self.host, tap, &mac, &address, attachment.gateway);
        Guest { attachment, inside }
    }
}

pub(crate) struct Guest {
    pub(crate) attachment: Attachment,
    pub(crate) inside: TapGuest,
}

impl Guest {
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.attachment.address
    }

    /// How many frames it was sent by another's hardware address.
    pub(crate) fn heard_from(&self, other: &Self) -> usize {
        let mac = other.attachment.mac.octets();
        self.inside.heard().iter().filter(|frame| frame.get(6..12) == Some(&mac[..])).count()
    }

    pub(crate) fn tcp(&self, to: Ipv4Addr, port: u16) -> bool {
        reaches_tcp(&self.inside.namespace, SocketAddrV4::new(to, port).into(), PATIENCE)
    }

    pub(crate) fn no_tcp(&self, to: Ipv4Addr, port: u16) -> bool {
        !reaches_tcp(&self.inside.namespace, SocketAddrV4::new(to, port).into(), REFUSED)
    }

    pub(crate) fn udp(&self, to: Ipv4Addr, port: u16) -> bool {
        reaches_udp(&self.inside.namespace, SocketAddrV4::new(to, port).into(), PATIENCE)
    }

    pub(crate) fn no_udp(&self, to: Ipv4Addr, port: u16) -> bool {
        !reaches_udp(&self.inside.namespace, SocketAddrV4::new(to, port).into(), REFUSED)
    }

    pub(crate) fn ping(&self, to: &str) -> bool {
        self.inside.namespace.output(&format!("ping -c 1 -W 5 {to}")).status.success()
    }

    pub(crate) fn no_ping(&self, to: &str) -> bool {
        !self.inside.namespace.output(&format!("ping -c 1 -W 0.4 {to}")).status.success()
    }
}

/// A connection of a guest, which stays.
pub(crate) fn connect(guest: &Guest, to: Ipv4Addr, port: u16) -> TcpStream {
    let to = SocketAddrV4::new(to, port).into();
    guest.inside.namespace.run(|| TcpStream::connect_timeout(&to, PATIENCE).unwrap())
}

/// Whether there is still an answer on a connection.
pub(crate) fn talk(stream: &mut TcpStream, patience: Duration) -> bool {
    stream.set_read_timeout(Some(patience)).unwrap();
    stream.write_all(b"ping").is_ok() && stream.read_exact(&mut [0; 4]).is_ok()
}

/// Whether a program in the namespace gets an answer.
pub(crate) fn tcp_from(from: &NetNamespace, to: Ipv4Addr, port: u16) -> bool {
    reaches_tcp(from, SocketAddrV4::new(to, port).into(), PATIENCE)
}

pub(crate) fn no_tcp_from(from: &NetNamespace, to: Ipv4Addr, port: u16) -> bool {
    !reaches_tcp(from, SocketAddrV4::new(to, port).into(), REFUSED)
}

pub(crate) fn udp_from(from: &NetNamespace, to: Ipv4Addr, port: u16) -> bool {
    reaches_udp(from, SocketAddrV4::new(to, port).into(), PATIENCE)
}

fn reaches_tcp(from: &NetNamespace, to: SocketAddr, patience: Duration) -> bool {
    from.run(|| {
        let Ok(mut stream) = TcpStream::connect_timeout(&to, patience) else { return false };
        stream.set_read_timeout(Some(patience)).unwrap();
        let mut answer = [0; 4];
        stream.write_all(b"ping").is_ok() && stream.read_exact(&mut answer).is_ok()
    })
}

fn reaches_udp(from: &NetNamespace, to: SocketAddr, patience: Duration) -> bool {
    from.run(|| {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(patience)).unwrap();
        // The first packet may find no neighbour yet; the kernel keeps it until it does.
        socket.send_to(b"ping", to).is_ok() && socket.recv(&mut [0; 4]).is_ok()
    })
}

/// Answers on a port, TCP and UDP, at every address of a namespace, until it goes.
pub(crate) struct Server {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn new(namespace: &NetNamespace, port: u16) -> Self {
        Self::at(namespace, Ipv4Addr::UNSPECIFIED, port)
    }

    /// The same at one address, which answers over UDP come from then.
    pub(crate) fn at(namespace: &NetNamespace, address: Ipv4Addr, port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (tcp, udp) = namespace.run(|| {
            (TcpListener::bind((address, port)).unwrap(), UdpSocket::bind((address, port)).unwrap())
        });
        tcp.set_nonblocking(true).unwrap();
        udp.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let (one, two) = (Arc::clone(&stop), Arc::clone(&stop));
        let threads = vec![
            thread::spawn(move || answer_tcp(&tcp, &one)),
            thread::spawn(move || answer_udp(&udp, &two)),
        ];
        Self { stop, threads }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn answer_tcp(listener: &TcpListener, stop: &AtomicBool) {
    let mut streams: Vec<TcpStream> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        if let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(true).unwrap();
            streams.push(stream);
        }
        streams.retain_mut(|stream| {
            let mut buffer = [0; 64];
            match stream.read(&mut buffer) {
                Ok(0) => false,
                Ok(length) => stream.write_all(&buffer[..length]).is_ok(),
                Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
            }
        });
        thread::sleep(Duration::from_millis(2));
    }
}

fn answer_udp(socket: &UdpSocket, stop: &AtomicBool) {
    let mut buffer = [0; 64];
    while !stop.load(Ordering::Relaxed) {
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length], from);
        }
    }
}
