//! What a VM's network costs: beside the least that the kernel needs, and beside the commands of the
//! TypeScript original.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use smartvm_network::link::{Links, make_tap};
use smartvm_network::nft::{Change, Element, Family, Nftables, Verified};
use smartvm_network::policy::FirewallConfig;
use smartvm_network::{AttachGuest, InterfaceName, Network, NetworkOptions, names};
use smartvm_testkit::NetNamespace;

use crate::sample::Sample;

const ROUNDS: usize = 100;
const GUESTS: usize = 500;

/// Measures in namespaces of its own.
pub(crate) fn run() -> anyhow::Result<()> {
    let dir = tempfile::tempdir_in(memory()).context("make a directory")?;
    println!("network: {ROUNDS} rounds each, in a namespace");
    attach(dir.path())?;
    many(dir.path())?;
    policy()?;
    remove()
}

/// Where the state is in production as well: a file system in memory.
fn memory() -> &'static Path {
    if Path::new("/dev/shm").is_dir() { Path::new("/dev/shm") } else { Path::new("/tmp") }
}

fn request(dir: &Path, number: usize) -> AttachGuest {
    AttachGuest {
        vm: format!("vm{number}"),
        iface: "eth0".to_owned(),
        scope: dir.display().to_string(),
        owner: dir.join("owner"),
        uid: 1000,
        gid: 1000,
        mac: None,
        address: None,
        egress: None,
        published: Vec::new(),
    }
}

fn options(dir: &Path, name: &str) -> NetworkOptions {
    let mut options = NetworkOptions { state_dir: dir.join(name), ..NetworkOptions::default() };
    options.subnet = "172.30.0.0/20".parse().expect("a subnet");
    options
}

/// One TAP on the bridge with its rule, three ways, one after the other.
fn attach(dir: &Path) -> anyhow::Result<()> {
    let (ours, floor, seed) = (NetNamespace::new(), NetNamespace::new(), NetNamespace::new());
    let bridge = InterfaceName::default_bridge();
    let network = ours.run(|| Network::open(&options(dir, "attach")))?;
    let mut floor_kernel = floor.run(|| Floor::open(&bridge))?;
    seed.command("ip link add svbr0 type bridge");
    seed.command("ip link set svbr0 up");
    seed.command("nft add table inet t");
    seed.command("nft add chain inet t c { type filter hook forward priority 0 ; }");
    // A bridge without a link is down, and its first link is dearer than all others.
    ours.run(|| network.attach(&request(dir, ROUNDS)))?;
    floor.run(|| floor_kernel.make(&"first".parse()?))?;
    seed.run(|| by_commands(&"first".parse()?))?;
    let (mut us, mut least, mut commands) =
        (Sample::default(), Sample::default(), Sample::default());
    for round in 0..ROUNDS {
        let request = request(dir, round);
        let tap = names::tap(&bridge, &request.scope, &request.vm, &request.iface);
        // In turn, as the kernel still works at what the round before has removed.
        for way in (0..3).map(|way| (way + round) % 3) {
            let (sample, (took, made)) = match way {
                0 => (
                    &mut us,
                    ours.run(|| {
                        timed(|| network.attach(&request).map(drop).map_err(anyhow::Error::from))
                    }),
                ),
                1 => (&mut least, floor.run(|| timed(|| floor_kernel.make(&tap)))),
                _ => (&mut commands, seed.run(|| timed(|| by_commands(&tap)))),
            };
            made?;
            sample.add(took);
        }
        // As they go, so that the kernel has the same to look through each time.
        ours.run(|| network.detach(&tap))?;
        floor.run(|| floor_kernel.remove(&tap))?;
        seed.command(&format!("ip link del {tap}"));
    }
    let (us_p50, least_p50) = (us.percentile_ms(50), least.percentile_ms(50));
    println!(
        "  TAP, bridge, lease, policy      p50 {us_p50:.3} ms, p95 {:.3} ms",
        us.percentile_ms(95)
    );
    println!(
        "  the floor: ioctl and netlink    p50 {least_p50:.3} ms, p95 {:.3} ms",
        least.percentile_ms(95)
    );
    println!(
        "  the original's commands         p50 {:.3} ms, p95 {:.3} ms",
        commands.percentile_ms(50),
        commands.percentile_ms(95)
    );
    println!("  ours / floor                    {:.2} (promised: at most 1.3)", us_p50 / least_p50);
    Ok(())
}

/// From the first to the five hundredth guest, in turn with the floor; nothing is removed meanwhile.
fn many(dir: &Path) -> anyhow::Result<()> {
    let (host, floor) = (NetNamespace::new(), NetNamespace::new());
    let bridge = InterfaceName::default_bridge();
    let network = host.run(|| Network::open(&options(dir, "many")))?;
    let mut kernel = floor.run(|| Floor::open(&bridge))?;
    let (mut ours, mut least) = (Vec::new(), Vec::new());
    for number in 0..GUESTS {
        let request = request(dir, number);
        let tap = names::tap(&bridge, &request.scope, &request.vm, &request.iface);
        for way in [number % 2, 1 - number % 2] {
            if way == 0 {
                let (took, made) = host.run(|| timed(|| network.attach(&request)));
                made?;
                ours.push(took);
            } else {
                let (took, made) = floor.run(|| timed(|| kernel.make(&tap)));
                made?;
                least.push(took);
            }
        }
    }
    let (us, floor_ms) = (median(&ours), median(&least));
    println!("  {GUESTS} one after another           p50 {us:.3} ms, the floor {floor_ms:.3} ms");
    println!("  ours / floor                    {:.2} (promised: at most 1.3)", us / floor_ms);
    for (whose, times) in [("ours", &ours), ("the floor", &least)] {
        let (first, last) = (median(&times[..50]), median(&times[GUESTS - 50..]));
        println!(
            "  {whose:<9} first and last 50     p50 {first:.3} ms, {last:.3} ms, {:.2} times \
             (promised of ours: at most 1.2)",
            last / first
        );
    }
    let (took, swept) = host.run(|| timed(|| Network::sweep(&options(dir, "many").state_dir)));
    ensure!(swept?.interfaces.len() == GUESTS, "all of them go");
    println!("  all {GUESTS} swept                   {:.1} ms", took.as_secs_f64() * 1e3);
    Ok(())
}

fn median(times: &[Duration]) -> f64 {
    let mut sample = Sample::default();
    times.iter().for_each(|took| sample.add(*took));
    sample.percentile_ms(50)
}

/// A firewall of a thousand rules.
fn policy() -> anyhow::Result<()> {
    let rule = |number: usize| {
        let to = format!("10.{}.{}.0/24", number / 250, number % 250);
        format!(r#"{{"action":"deny","to":"{to}","protocol":"tcp","ports":443}}"#)
    };
    let list: Vec<_> = (0..1000).map(rule).collect();
    let egress =
        FirewallConfig::from_json(&format!(r#"{{"egress":{{"rules":[{}]}}}}"#, list.join(",")))?;
    let rules = smartvm_network::policy::NetworkRules {
        network: InterfaceName::default_bridge(),
        subnet: smartvm_network::Subnet::default(),
        isolation: smartvm_network::policy::Isolation::default(),
        egress,
        only_out_of: None,
    };
    let (mut put, mut anew, mut checked) =
        (Sample::default(), Sample::default(), Sample::default());
    let mut peer = Sample::default();
    let text = tempfile::NamedTempFile::new().context("make a file")?;
    fs_err::write(text.path(), rules.render(&[]).to_string())?;
    for _ in 0..30 {
        NetNamespace::new().run(|| -> anyhow::Result<()> {
            let (took, done) = timed(|| Command::new("nft").arg("-f").arg(text.path()).status());
            ensure!(done.context("run nft")?.success(), "nft takes the same rules");
            peer.add(took);
            Ok(())
        })?;
        NetNamespace::new().run(|| -> anyhow::Result<()> {
            let mut nftables = Nftables::open()?;
            let begun = Instant::now();
            let ruleset = rules.render(&[]);
            nftables.replace(&ruleset)?;
            put.add(begun.elapsed());
            let begun = Instant::now();
            nftables.replace(&rules.render(&[]))?;
            anew.add(begun.elapsed());
            let begun = Instant::now();
            nftables.verify(&ruleset, Verified::Rules)?;
            checked.add(begun.elapsed());
            Ok(())
        })?;
    }
    println!(
        "  1,000 rules rendered, in force  p50 {:.1} ms (promised: at most 20 ms)",
        put.percentile_ms(50)
    );
    println!("  the same by `nft -f`            p50 {:.1} ms", peer.percentile_ms(50));
    println!("  in the place of as many         p50 {:.1} ms", anew.percentile_ms(50));
    println!("  read back                       p50 {:.1} ms", checked.percentile_ms(50));
    Ok(())
}

/// A hundred TAPs at once, and one by one.
fn remove() -> anyhow::Result<()> {
    let bridge = InterfaceName::default_bridge();
    let (mut at_once, mut one_by_one) = (Sample::default(), Sample::default());
    for round in 0..5 {
        let host = NetNamespace::new();
        host.run(|| -> anyhow::Result<()> {
            let mut floor = Floor::open(&bridge)?;
            let tap = |number: usize| -> InterfaceName {
                format!("svtap{number}").parse().expect("a name")
            };
            for number in 0..100 {
                floor.make(&tap(number))?;
            }
            if round == 0 {
                let begun = Instant::now();
                for number in 0..100 {
                    floor.links.remove(&tap(number))?;
                }
                one_by_one.add(begun.elapsed());
            } else {
                let begun = Instant::now();
                floor.links.remove_group(names::link_group(&bridge))?;
                at_once.add(begun.elapsed());
            }
            Ok(())
        })?;
    }
    println!(
        "  100 TAPs removed by group       p50 {:.1} ms (promised: at most 60 ms)",
        at_once.percentile_ms(50)
    );
    println!("  one by one                      {:.1} ms", one_by_one.percentile_ms(50));
    Ok(())
}

/// The least that the kernel needs: make a TAP, put it on the bridge, bring it up, one element.
struct Floor {
    links: Links,
    nftables: Nftables,
    bridge: u32,
}

impl Floor {
    fn open(bridge: &InterfaceName) -> anyhow::Result<Self> {
        let mut links = Links::open()?;
        links.make_bridge(bridge, names::bridge_mac(bridge), None, "floor")?;
        links.set_up(bridge, true)?;
        let index = links.find(bridge)?.context("the bridge was made")?.index;
        let mut nftables = Nftables::open()?;
        let rules = smartvm_network::policy::NetworkRules {
            network: bridge.clone(),
            subnet: smartvm_network::Subnet::default(),
            isolation: smartvm_network::policy::Isolation::default(),
            egress: smartvm_network::policy::EgressPolicy::default(),
            only_out_of: None,
        };
        nftables.replace(&rules.render(&[]))?;
        Ok(Self { links, nftables, bridge: index })
    }

    fn make(&mut self, tap: &InterfaceName) -> anyhow::Result<()> {
        make_tap(tap, 1000, 1000)?;
        let group = names::link_group(&InterfaceName::default_bridge());
        self.links.join(tap, self.bridge, group, "floor", None)?;
        self.links.open_port(tap, true)?;
        Ok(self.nftables.change(
            "smartvm-svbr0",
            &[Change::Add(Family::Bridge, "guests", Self::element(tap)?)],
        )?)
    }

    fn remove(&mut self, tap: &InterfaceName) -> anyhow::Result<()> {
        self.links.remove(tap)?;
        Ok(self.nftables.change(
            "smartvm-svbr0",
            &[Change::Remove(Family::Bridge, "guests", Self::element(tap)?)],
        )?)
    }

    /// Each link's own, as sets refuse what they have.
    fn element(tap: &InterfaceName) -> anyhow::Result<Vec<Element>> {
        let mac = names::mac(tap, "", "", "");
        Ok(vec![Element::guest(tap, mac, [172, 30, 0, 2].into())])
    }
}

/// As the TypeScript original does it, with its rule in nftables.
fn by_commands(tap: &InterfaceName) -> anyhow::Result<()> {
    let run = |words: &[&str]| -> anyhow::Result<()> {
        let done = Command::new(words[0]).args(&words[1..]).status().context("run a command")?;
        ensure!(done.success(), "{words:?}");
        Ok(())
    };
    run(&["ip", "tuntap", "add", tap.as_str(), "mode", "tap"])?;
    run(&["ip", "link", "set", tap.as_str(), "master", "svbr0"])?;
    run(&["ip", "link", "set", tap.as_str(), "up"])?;
    run(&["nft", "add", "rule", "inet", "t", "c", "iifname", tap.as_str(), "accept"])
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let done = work();
    (begun.elapsed(), done)
}
