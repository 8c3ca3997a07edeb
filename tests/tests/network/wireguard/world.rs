//! A host with a bridge, a guest's stand-in on it, and two ways into the world.

use std::net::Ipv4Addr;
use std::time::Duration;

use smartvm_network::wireguard::WireGuardWay;
use smartvm_network::{Subnet, WireGuardEgress, WireGuardOptions, WireGuardSpec};
use smartvm_testkit::{NetNamespace, PacketCapture, Traffic, World as Answers};

/// An address that the world has on both ways.
pub(super) const WORLD: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// What every packet of the guest has in it.
const MARK: &str = "in-the-clear";
/// How long anything may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// The namespaces. `guest` is on the bridge of `host`; from there one way leads to `internet` through
/// the uplink, and another to `peer` through `wgx0`, a cable that stands for a tunnel.
pub(super) struct World {
    pub(super) host: NetNamespace,
    pub(super) guest: NetNamespace,
    pub(super) internet: NetNamespace,
    pub(super) peer: NetNamespace,
    _answers: [Answers; 2],
}

impl World {
    /// No address of a guest is translated, so both ways lead back to it.
    pub(super) fn new() -> Self {
        let world = Self::without_return();
        for (other, net) in [(&world.internet, "192.0.2"), (&world.peer, "10.70.0")] {
            other.ip(&format!("route add 172.30.0.0/24 via {net}.1"));
        }
        world
    }

    /// Whoever is called knows the host's addresses only.
    pub(super) fn without_return() -> Self {
        let [host, guest, internet, peer] = std::array::from_fn(|_| NetNamespace::new());
        host.ip("link add svbr0 type bridge");
        host.ip("link set svbr0 up");
        host.ip("addr add 172.30.0.1/24 dev svbr0");
        host.connect("port0", &guest, "eth0");
        host.ip("link set port0 master svbr0");
        guest.ip("addr add 172.30.0.2/24 dev eth0");
        guest.ip("route add default via 172.30.0.1");
        for (link, other, other_link, net) in
            [("up0", &internet, "net0", "192.0.2"), ("wgx0", &peer, "tun0", "10.70.0")]
        {
            host.connect(link, other, other_link);
            host.ip(&format!("addr add {net}.1/24 dev {link}"));
            other.ip(&format!("addr add {net}.2/24 dev {other_link}"));
            other.ip(&format!("addr add {WORLD}/32 dev lo"));
        }
        host.ip("route add default via 192.0.2.2");
        host.command("sysctl -qw net.ipv4.ip_forward=1");
        let answers =
            [Answers::start(&internet, WORLD, "internet"), Answers::start(&peer, WORLD, "peer")];
        Self { host, guest, internet, peer, _answers: answers }
    }

    pub(super) fn traffic(&self) -> Traffic {
        Traffic::start(&self.guest, WORLD, MARK)
    }

    pub(super) fn capture(&self) -> PacketCapture {
        PacketCapture::start(&self.internet)
    }

    /// Lets a packet of the host's own pass the uplink, after all that came before it.
    pub(super) fn flush(&self, capture: &PacketCapture) {
        capture.expect(b"fence", DEADLINE, || {
            self.host.run(|| {
                let socket = std::net::UdpSocket::bind("192.0.2.1:0").unwrap();
                socket.send_to(b"fence", "192.0.2.2:9").unwrap();
            });
        });
    }

    /// Lets the guest call for a while, and makes sure that none of that leaves through the uplink.
    #[track_caller]
    pub(super) fn expect_closed(&self, traffic: &Traffic, capture: &PacketCapture, what: &str) {
        let since = traffic.calls();
        traffic.make_calls(50);
        self.flush(capture);
        assert_eq!(traffic.seen(capture, since), [0; 0], "{what}");
    }

    /// Rules, default routes of all tables, and links, as `ip` prints them.
    pub(super) fn state(&self) -> String {
        let routes = self.host.ip("route show table all type unicast");
        let locks = self.host.ip("route show table all type unreachable");
        let links = self.host.ip("-br link");
        let names: Vec<_> =
            links.lines().filter_map(|line| line.split_whitespace().next()).collect();
        format!("{}\n{routes}\n{locks}\n{names:?}", self.host.ip("rule"))
    }
}

pub(super) fn egress() -> WireGuardEgress {
    WireGuardEgress::new("svbr0".parse().unwrap(), Subnet::default())
}

pub(super) fn spec(json: &str) -> WireGuardWay {
    let options: WireGuardOptions = serde_json::from_str(json).unwrap();
    WireGuardSpec::try_from(&options).unwrap().into()
}

/// The cable as an interface that somebody else made.
pub(super) fn existing() -> WireGuardWay {
    spec(r#"{"existingInterface":"wgx0"}"#)
}
