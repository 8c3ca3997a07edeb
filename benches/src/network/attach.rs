//! One interface, beside the floor and the commands of the original.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use smartvm_network::{InterfaceName, Network, names};
use smartvm_testkit::NetNamespace;

use super::floor::Floor;
use super::{ROUNDS, options, request, timed};
use crate::sample::Sample;

#[derive(Clone, Copy)]
enum Way {
    Ours,
    Floor,
    Commands,
}

/// Each way follows each other one as often, as commands leave caches cold, and the kernel still works at what
/// was removed before.
const ORDERS: [[Way; 3]; 6] = [
    [Way::Ours, Way::Floor, Way::Commands],
    [Way::Commands, Way::Ours, Way::Floor],
    [Way::Floor, Way::Commands, Way::Ours],
    [Way::Floor, Way::Ours, Way::Commands],
    [Way::Commands, Way::Floor, Way::Ours],
    [Way::Ours, Way::Commands, Way::Floor],
];

/// One TAP on the bridge with its rule, three ways, each removed before the next is made.
pub(super) fn run(dir: &Path) -> anyhow::Result<()> {
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
        for way in ORDERS[round % ORDERS.len()] {
            let (sample, (took, made)) = match way {
                Way::Ours => (
                    &mut us,
                    ours.run(|| {
                        timed(|| network.attach(&request).map(drop).map_err(anyhow::Error::from))
                    }),
                ),
                Way::Floor => (&mut least, floor.run(|| timed(|| floor_kernel.make(&tap)))),
                Way::Commands => (&mut commands, seed.run(|| timed(|| by_commands(&tap)))),
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
