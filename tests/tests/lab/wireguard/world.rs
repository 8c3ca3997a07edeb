//! A host with a bridge and a guest's stand-in, an internet that records, and a WireGuard peer in it.

use std::net::Ipv4Addr;
use std::process::Child;
use std::time::Duration;

use smartvm_network::nft::Nftables;
use smartvm_network::policy::{EgressPolicy, Isolation, NetworkRules};
use smartvm_network::wireguard::{WireGuardStep, WireGuardWay};
use smartvm_network::{InterfaceName, Subnet, WireGuardEgress, WireGuardOptions, WireGuardSpec};
use smartvm_testkit::{NetNamespace, PacketCapture, Traffic, World as Answers};

/// An address that the internet has, and the peer too.
pub(super) const WORLD: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// What every packet of the guest has in it.
const MARK: &str = "in-the-clear";
/// How long anything may take, in an emulated host too.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);

/// Made for these tests alone.
pub(super) const HOST_KEY: &str = "plX/KTY4l8N2kzjHvrRs2F4jynKe7yX1zxjEPlXj4y4=";
const HOST_PUBLIC: &str = "vJsRLbDKS8rWbYZGTHQTW82uxr2QluH48VzGoPhOM1E=";
const PEER_KEY: &str = "y8mB3bKwN43cFsdO5nPsKVOkGcn2nUNX4QadBDH0CfE=";
pub(super) const PEER_PUBLIC: &str = "HHZi3/uc+whWxHjwjAaiMXwnhPuLGfnWagB/5PxpEGg=";
pub(super) const SHARED: &str = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=";

/// The namespaces. The uplink of `host` leads to `internet`, and through it to `peer`, where the tunnel
/// ends. The world is at [`WORLD`] on both, and each says which it is.
pub(super) struct World {
    pub(super) host: NetNamespace,
    pub(super) guest: NetNamespace,
    pub(super) internet: NetNamespace,
    pub(super) peer: NetNamespace,
    _answers: [Answers; 2],
}

impl World {
    /// Everything but the host's end of the tunnel and its rules, with the guest's stand-in on a bridge.
    pub(super) fn new() -> Self {
        let world = Self::without_guest();
        let (host, guest) = (&world.host, &world.guest);
        host.connect("port0", guest, "eth0");
        host.ip_batch(&[
            "link add svbr0 type bridge",
            "link set svbr0 up",
            "addr add 172.30.0.1/24 dev svbr0",
            "link set port0 master svbr0",
        ]);
        guest.ip_batch(&["addr add 172.30.0.2/24 dev eth0", "route add default via 172.30.0.1"]);
        world
    }

    /// The same without the bridge and what is on it.
    pub(super) fn without_guest() -> Self {
        let [host, guest, internet, peer] = std::array::from_fn(|_| NetNamespace::new());
        host.connect("up0", &internet, "net0");
        internet.connect("net1", &peer, "peer0");
        let world = format!("addr add {WORLD}/32 dev lo");
        host.ip_batch(&[
            "addr add 192.0.2.1/24 dev up0",
            "addr add 2001:db8:1::1/64 dev up0 nodad",
            "route add default via 192.0.2.2",
            "route add ::/0 via 2001:db8:1::2",
        ]);
        internet.ip_batch(&[
            "addr add 192.0.2.2/24 dev net0",
            "addr add 2001:db8:1::2/64 dev net0 nodad",
            "addr add 203.0.113.1/24 dev net1",
            "addr add 2001:db8:2::1/64 dev net1 nodad",
            &world,
        ]);
        peer.ip_batch(&[
            "addr add 203.0.113.10/24 dev peer0",
            "addr add 2001:db8:2::10/64 dev peer0 nodad",
            "route add default via 203.0.113.1",
            "route add ::/0 via 2001:db8:2::1",
            &world,
        ]);
        for namespace in [&host, &internet] {
            namespace.run(|| {
                for setting in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
                    fs_err::write(format!("/proc/sys/net/{setting}"), "1").unwrap();
                }
            });
        }
        let answers =
            [Answers::start(&internet, WORLD, "internet"), Answers::start(&peer, WORLD, "peer")];
        let world = Self { host, guest, internet, peer, _answers: answers };
        world.start_peer();
        world
    }

    /// The other end: an interface of WireGuard that answers whoever has the host's key.
    pub(super) fn start_peer(&self) {
        let egress = WireGuardEgress::new(name("svpeer"), "172.29.0.0/24".parse().unwrap());
        let config = format!(
            "[Interface]\nPrivateKey = {PEER_KEY}\nAddress = 10.70.0.1/24\nListenPort = 51820\n\
             [Peer]\nPublicKey = {HOST_PUBLIC}\nPresharedKey = {SHARED}\nAllowedIPs = 10.70.0.2/32\n"
        );
        let options = WireGuardOptions {
            config: Some(config.into()),
            interface_name: Some("wg0".into()),
            ..WireGuardOptions::default()
        };
        let way = way(&options);
        self.peer.run(|| egress.ensure(&way).unwrap());
    }

    /// Puts the network's rules in force: only out of `svwg0`, or out of anything.
    pub(super) fn set_rules(&self, closed: bool) {
        let rules = NetworkRules {
            network: InterfaceName::default_bridge(),
            subnet: Subnet::default(),
            isolation: Isolation::default(),
            egress: EgressPolicy::default(),
            only_out_of: closed.then(|| name("svwg0")),
            bounds: Default::default(),
            tunnel: Some(name("svwg0")),
            neighbourhood: smartvm_network::policy::Neighbourhood::default(),
        };
        let rules = rules.render(&[]);
        self.host.run(|| Nftables::open().unwrap().replace(&rules).unwrap());
    }

    pub(super) fn traffic(&self) -> Traffic {
        Traffic::start(&self.guest, WORLD, MARK)
    }

    pub(super) fn capture(&self) -> PacketCapture {
        PacketCapture::start(&self.internet)
    }

    /// Makes sure that no call since `since` has left through the uplink, after some more of them.
    #[track_caller]
    pub(super) fn expect_closed(
        &self,
        traffic: &Traffic,
        capture: &PacketCapture,
        since: u64,
        what: &str,
    ) {
        traffic.make_calls(30);
        capture.expect(b"fence", DEADLINE, || {
            self.host.run(|| {
                let socket = std::net::UdpSocket::bind("192.0.2.1:0").unwrap();
                socket.send_to(b"fence", "192.0.2.2:9").unwrap();
            });
        });
        assert_eq!(traffic.seen(capture, since), [0; 0], "left in the clear: {what}");
    }

    /// Rules and default routes of all tables as `ip` prints them, and the names of links.
    pub(super) fn state(&self) -> String {
        let rules_and_routes = self.host.ip_batch(&[
            "rule",
            "route show table all type unicast",
            "route show table all type unreachable",
        ]);
        let devices =
            self.host.run(|| fs_err::read_to_string("/proc/thread-self/net/dev").unwrap());
        // Two lines of headings.
        let lines = devices.lines().skip(2);
        let mut names: Vec<_> =
            lines.filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim()).collect();
        names.sort_unstable();
        format!("{rules_and_routes}\n{names:?}")
    }

    /// A process that sets up the tunnel and stays, or is ended by kill -9 before step `at`.
    pub(super) fn manager(&self, at: Option<usize>) -> Child {
        let spec = spec();
        self.host.run_apart(move || {
            let mut count = 0;
            let mut before = |_: WireGuardStep| {
                if Some(count) == at {
                    let us = rustix::process::getpid();
                    rustix::process::kill_process(us, rustix::process::Signal::KILL).unwrap();
                }
                count += 1;
                Ok(())
            };
            egress().ensure_stepwise(&spec, &mut before).unwrap();
        })
    }
}

pub(super) fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

pub(super) fn egress() -> WireGuardEgress {
    WireGuardEgress::new(InterfaceName::default_bridge(), Subnet::default())
}

/// The tunnel's configuration, with the peer at `endpoint`.
pub(super) fn config(endpoint: &str) -> String {
    format!(
        "[Interface]\nPrivateKey = {HOST_KEY}\nAddress = 10.70.0.2/24\nMTU = 1400\nDNS = 1.1.1.1\n\
         [Peer]\nPublicKey = {PEER_PUBLIC}\nPresharedKey = {SHARED}\nAllowedIPs = 0.0.0.0/0\n\
         Endpoint = {endpoint}\nPersistentKeepalive = 1\n"
    )
}

pub(super) fn spec_of(config: &str) -> WireGuardWay {
    let options = WireGuardOptions { config: Some(config.into()), ..WireGuardOptions::default() };
    way(&options)
}

pub(super) fn way(options: &WireGuardOptions) -> WireGuardWay {
    WireGuardSpec::try_from(options).unwrap().into()
}

pub(super) fn spec() -> WireGuardWay {
    spec_of(&config("203.0.113.10:51820"))
}
