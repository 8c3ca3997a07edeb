//! Policies and packets of chance: what packets do is what the rules say to an interpreter of them, and
//! what the policies say to who knows no rule.

mod sockets;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use smartvm_network::Network;
use smartvm_network::nft::{Nftables, Verified};
use smartvm_network::policy::{
    Action, Cidr, EgressPolicy, EgressRule, GuestRules, Neighbourhood, NetworkRules, RuleProtocol,
};
use smartvm_nftmodel::{
    Arrival, Attempt, Content, Host, LedPort, Oracle, Protocol, Scene, Way, chance,
};
use smartvm_testkit::eventually;

use self::sockets::{Observer, Sender, read};
use super::world::{Guest, HOST, HOST_OTHER, INTERNET, World};

const ROUNDS: u32 = 120;
/// To it guests may always send, so that it is seen when all that was sent before has arrived.
const LAST: u16 = 9;
const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 1);
const CALLS_IP: &str = "net.bridge.bridge-nf-call-iptables";
const PATIENCE: Duration = Duration::from_secs(10);

/// The world with who sends and who sees.
struct Stage {
    world: World,
    network: Network,
    guests: Vec<Guest>,
    scene: Scene,
    internet: (Sender, Observer),
    host: (Sender, Observer),
    /// Whether this kernel can lead frames of bridges through the rules for packets.
    can_call_ip: bool,
    /// Of all packets until now: where they came from.
    sources: HashMap<u32, Ipv4Addr>,
    /// Where they were to arrive.
    expected: HashMap<u32, Arrival>,
    /// And where they did.
    seen: HashMap<u32, Vec<Arrival>>,
    /// How many frames of each guest were looked at.
    read: Vec<usize>,
    next_mark: u32,
}

impl Stage {
    fn new() -> Self {
        let mut world = World::new();
        // More connections are begun here than a guest may: of that another test knows.
        let bounds = r#"{"connections":1000000,"newConnectionsPerSecond":1000000}"#;
        world.options.bounds = serde_json::from_str(bounds).unwrap();
        for address in ["10.1.0.2", "10.2.0.1", "169.254.1.1"] {
            world.internet.ip(&format!("addr add {address}/32 dev lo"));
        }
        world.internet.ip(&format!("route add 172.30.0.0/24 via {HOST}"));
        world.host.ip(&format!("route add 169.254.1.1/32 via {INTERNET}"));
        world.host.command("sysctl -q net.ipv4.conf.all.route_localnet=1");
        lead_elsewhere(&world);
        let network = world.open();
        let attach = |vm: &str, published: &[&str]| {
            let mut request = world.request(vm);
            request.published = published.iter().map(|it| it.parse().unwrap()).collect();
            request.resolvers = resolvers();
            (world.attach(&network, &request), request.published)
        };
        let attached = [
            attach("one", &["8080:80"]),
            attach("two", &["5353:53/udp", "192.0.2.11:443:443", "80:80/udp"]),
        ];
        let rules = attached.iter().map(|(guest, published)| GuestRules {
            tap: guest.attachment.tap.clone(),
            mac: guest.attachment.mac,
            address: guest.address(),
            egress: None,
            published: published.clone(),
            bounds: None,
            resolvers: resolvers(),
        });
        let scene = Scene {
            network: NetworkRules {
                network: network.name().clone(),
                subnet: network.subnet(),
                isolation: Default::default(),
                egress: Default::default(),
                only_out_of: None,
                bounds: world.options.bounds,
                tunnel: None,
                neighbourhood: Neighbourhood::new([HOST, HOST_OTHER].map(|it| Cidr::new(it, 32))),
            },
            guests: rules.collect(),
            uplink: "uplink".parse().unwrap(),
            host_addresses: vec![HOST, HOST_OTHER],
            bridge_calls_ip: false,
            forwards_for_us: true,
            led: chance::LED.into(),
        };
        let can_call_ip = world.host.output(&format!("sysctl {CALLS_IP}")).status.success();
        let at = |namespace| (Sender::new(namespace), Observer::new(namespace));
        Self {
            internet: at(&world.internet),
            host: at(&world.host),
            guests: attached.into_iter().map(|(guest, _)| guest).collect(),
            scene,
            world,
            network,
            can_call_ip,
            sources: HashMap::new(),
            expected: HashMap::new(),
            seen: HashMap::new(),
            read: vec![0; 2],
            next_mark: 1,
        }
    }

    /// Puts the policies of the scene in force. The interpreter reads what the kernel then has.
    fn put_in_force(&self) {
        let Scene { network, guests, bridge_calls_ip, .. } = &self.scene;
        if self.can_call_ip {
            let value = u8::from(*bridge_calls_ip);
            self.world.host.command(&format!("sysctl -q {CALLS_IP}={value}"));
        }
        self.world.host.run(|| {
            let (isolation, egress) = (network.isolation.clone(), network.egress.clone());
            self.network.set_policy(isolation, egress).unwrap();
            for guest in guests {
                self.network.set_guest_policy(&guest.tap, guest.egress.clone()).unwrap();
            }
            let mut nftables = Nftables::open().unwrap();
            nftables.verify(&self.scene.rules(), Verified::Everything).unwrap();
        });
    }

    fn send(&mut self, attempt: &Attempt) {
        let frame = attempt.frame(&self.scene);
        let Content::Ipv4 { source, destination: to, .. } = attempt.content else {
            panic!("{:?} is not sent here", attempt.content)
        };
        self.sources.insert(attempt.mark, source);
        match attempt.way {
            Way::Guest { guest, .. } => self.guests[guest].inside.send_frame(&frame),
            Way::Beyond => self.internet.0.send(&frame[14..], to),
            Way::Host => self.host.0.send(&frame[14..], to),
            other => panic!("{other:?} is not tried here"),
        }
    }

    /// Looks at what has arrived since the last time.
    fn look(&mut self) {
        let mut seen = Vec::new();
        for delivered in self.internet.1.delivered() {
            let hidden = self.sources.get(&delivered.mark) != Some(&delivered.source);
            seen.push((delivered.mark, Arrival::Beyond { hidden }));
        }
        seen.extend(self.host.1.delivered().iter().map(|it| (it.mark, Arrival::Host)));
        for (index, guest) in self.guests.iter().enumerate() {
            let heard = guest.inside.heard();
            for frame in &heard[self.read[index]..] {
                if frame.get(12..14) == Some(&[8, 0])
                    && let Some(delivered) = read(&frame[14..])
                {
                    seen.push((delivered.mark, Arrival::Guest(index)));
                }
            }
            self.read[index] = heard.len();
        }
        for (mark, arrival) in seen {
            self.seen.entry(mark).or_default().push(arrival);
        }
    }

    /// Waits until a packet was seen.
    fn await_mark(&mut self, mark: u32, what: &str) {
        let this = RefCell::new(self);
        eventually(PATIENCE, what, || {
            let mut this = this.borrow_mut();
            this.look();
            this.seen.contains_key(&mark).then_some(())
        });
    }

    /// Sends what can always pass, by each way that was sent by, and waits for it: then all that was
    /// sent before it has arrived, or never will.
    fn wait_for_all(&mut self) {
        let last = |source, destination| Content::Ipv4 {
            source,
            destination,
            protocol: Protocol::Udp(LAST, LAST),
        };
        for index in 0..self.guests.len() {
            let guest = &self.scene.guests[index];
            let (mac, to) = (guest.mac.octets(), smartvm_nftmodel::Target::Host);
            let way = Way::Guest { guest: index, mac, to };
            let mark = self.send_marked(way, last(guest.address, INTERNET));
            self.await_mark(mark, "a guest reaches the internet");
        }
        let mark = self.send_marked(Way::Beyond, last(INTERNET, HOST));
        self.await_mark(mark, "the internet reaches the host");
        // What the host sends to guests, be it of itself, of the internet or of other guests.
        for index in 0..self.guests.len() {
            let mark = self.send_marked(Way::Host, last(HOST, self.scene.guests[index].address));
            self.await_mark(mark, "the host reaches a guest");
        }
    }

    fn send_marked(&mut self, way: Way, content: Content) -> u32 {
        let mark = self.next_mark;
        self.next_mark += 1;
        let attempt = Attempt {
            way,
            content,
            established: false,
            destination_changed: false,
            over_bounds: false,
            mark,
        };
        self.send(&attempt);
        mark
    }

    /// Gives an attempt a mark, and ports by which it is a connection of its own.
    fn marked(&mut self, attempt: &Attempt) -> Attempt {
        let mark = self.next_mark;
        self.next_mark += 1;
        let port = |port: u16| match port {
            67 => 67,
            _ => u16::try_from(10_000 + mark % 50_000).unwrap(),
        };
        let content = match attempt.content {
            Content::Ipv4 { source, destination, protocol } => {
                let protocol = match protocol {
                    Protocol::Tcp(from, to) => Protocol::Tcp(port(from), to),
                    Protocol::Udp(from, to) => Protocol::Udp(port(from), to),
                    other => other,
                };
                Content::Ipv4 { source, destination, protocol }
            }
            other => other,
        };
        Attempt {
            content,
            mark,
            established: false,
            destination_changed: false,
            over_bounds: false,
            ..*attempt
        }
    }

    fn round(&mut self, attempts: &[Attempt]) -> Result<(), TestCaseError> {
        self.put_in_force();
        let attempts: Vec<_> = attempts.iter().map(|it| self.marked(it)).collect();
        attempts.iter().for_each(|attempt| self.send(attempt));
        self.wait_for_all();
        let rules = self.scene.rules();
        for attempt in &attempts {
            let (model, oracle) = (
                Host::new(&self.scene, &rules).arrival(attempt),
                Oracle::new(&self.scene).arrival(attempt),
            );
            prop_assert_eq!(model, oracle, "{:?}", attempt);
            self.expected.insert(attempt.mark, model);
            let seen = self.seen.get(&attempt.mark).cloned().unwrap_or_default();
            let wanted = if model == Arrival::Nowhere { vec![] } else { vec![model] };
            prop_assert_eq!(seen, wanted, "{:?}", attempt);
        }
        // Nor has anything of the rounds before come late.
        for (mark, expected) in &self.expected {
            let seen = self.seen.get(mark).map_or(0, Vec::len);
            prop_assert_eq!(seen, usize::from(*expected != Arrival::Nowhere), "mark {}", mark);
        }
        Ok(())
    }
}

/// Whom the guests were told to ask for names.
fn resolvers() -> BTreeSet<Ipv4Addr> {
    [chance::BEYOND[0], Ipv4Addr::new(169, 254, 1, 1)].into()
}

/// What another program does with ports of the host, before our rules do what they do there.
fn lead_elsewhere(world: &World) {
    let mut rules = String::new();
    for LedPort { protocol, port, to: (address, to) } in chance::LED {
        let protocol = protocol.as_str();
        rules.push_str(&format!(
            "meta l4proto {protocol} th dport {port} fib daddr type local dnat to {address}:{to}\n"
        ));
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let chain = "type nat hook prerouting priority -101;";
    let text = format!("table ip other {{\nchain ports {{\n{chain}\n{rules}}}\n}}\n");
    fs_err::write(file.path(), text).unwrap();
    world.host.command(&format!("nft -f {}", file.path().display()));
}

/// Whether the attempt can be made here, and its arrival be seen.
fn is_possible(attempt: &Attempt) -> bool {
    let Content::Ipv4 { destination, protocol, .. } = attempt.content else { return false };
    let known = chance::BEYOND.contains(&destination)
        || chance::HOST.contains(&destination)
        || destination.octets()[..3] == [172, 30, 0]
        || destination.is_link_local()
        || destination.is_loopback();
    let lan = [Ipv4Addr::new(172, 30, 0, 255), Ipv4Addr::new(172, 30, 0, 200)];
    // What is led back to who sent it has an address there that is nobody's who comes from elsewhere.
    let led = protocol != Protocol::Icmp && {
        let (Protocol::Tcp(_, port) | Protocol::Udp(_, port)) = protocol else { return false };
        chance::LED.iter().any(|led| led.protocol.number() == protocol.number() && led.port == port)
    };
    // The internet's own addresses are no matter of the host's.
    let passes = match attempt.way {
        Way::Guest { to, .. } => match to {
            smartvm_nftmodel::Target::Host => true,
            // A frame to another guest with the host's address in it: where it is led to is a matter of bridges.
            smartvm_nftmodel::Target::Guest(_) => {
                !chance::HOST.contains(&destination) && destination != GATEWAY
            }
            smartvm_nftmodel::Target::Lan => false,
        },
        Way::Host => !lan.contains(&destination),
        Way::Beyond => {
            !lan.contains(&destination)
                && !led
                && (chance::HOST.contains(&destination) || destination.octets()[0] == 172)
        }
        Way::Unbridged(_) | Way::Lan(_) | Way::HostByTap(_) => false,
    };
    known && passes && !matches!(protocol, Protocol::Other(_)) && destination != lan[0]
}

/// The policy, and before all of it that the last packet of a round may pass.
fn with_last(mut policy: EgressPolicy) -> EgressPolicy {
    let rule = EgressRule {
        action: Action::Allow,
        to: Some(Cidr::new(INTERNET, 32)),
        protocol: RuleProtocol::Udp,
        ports: [LAST].into(),
        comment: None,
    };
    policy.rules.insert(0, rule);
    policy
}

#[test]
fn packets_do_what_the_rules_say_and_the_rules_what_the_policies_say() {
    let stage = RefCell::new(Stage::new());
    let own = || proptest::option::of(chance::policy());
    let attempts = vec(chance::attempt(&stage.borrow().scene), 60);
    let strategy = (chance::isolation(), chance::policy(), own(), own(), any::<bool>(), attempts);
    let config = Config {
        cases: ROUNDS,
        failure_persistence: None,
        // The packet that went wrong is told, and what was sent cannot be taken back.
        max_shrink_iters: 0,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(
        &strategy,
        |(isolation, egress, one, two, calls_ip, attempts)| {
            let stage = &mut *stage.borrow_mut();
            stage.scene.bridge_calls_ip = calls_ip && stage.can_call_ip;
            stage.scene.network.isolation = isolation;
            stage.scene.network.egress = with_last(egress);
            for (guest, own) in stage.scene.guests.iter_mut().zip([one, two]) {
                guest.egress = own.map(with_last);
            }
            let attempts: Vec<_> = attempts.into_iter().filter(is_possible).collect();
            stage.round(&attempts)
        },
    );
    outcome.unwrap();
    // Each kind of arrival was among them, often.
    let mut arrivals: BTreeMap<String, usize> = BTreeMap::new();
    for arrival in stage.borrow().expected.values() {
        *arrivals.entry(format!("{arrival:?}")).or_default() += 1;
    }
    assert_eq!(arrivals.len(), 6, "{arrivals:?}");
    assert!(arrivals.values().all(|count| *count > 20), "{arrivals:?}");
}
