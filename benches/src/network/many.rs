//! Five hundred interfaces on one bridge.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use smartvm_network::{InterfaceName, Network, names};
use smartvm_testkit::NetNamespace;

use super::floor::Floor;
use super::{options, request, timed};
use crate::sample::Sample;

const GUESTS: usize = 500;
/// Of them, those that are compared with the first.
const LAST: usize = 50;

/// A bridge of ours, or one with the least on it.
enum Bridge<'a> {
    Ours(Box<Network>, &'a Path),
    Floor(Floor),
}

/// With what it took to make each interface of it.
struct Measured<'a> {
    namespace: NetNamespace,
    bridge: Bridge<'a>,
    times: Vec<Duration>,
}

impl<'a> Measured<'a> {
    fn ours(dir: &'a Path, name: &str) -> anyhow::Result<Self> {
        let namespace = NetNamespace::new();
        let network = namespace.run(|| Network::open(&options(dir, name)))?;
        Ok(Self { namespace, bridge: Bridge::Ours(Box::new(network), dir), times: Vec::new() })
    }

    fn floor() -> anyhow::Result<Self> {
        let namespace = NetNamespace::new();
        let floor = namespace.run(|| Floor::open(&InterfaceName::default_bridge()))?;
        Ok(Self { namespace, bridge: Bridge::Floor(floor), times: Vec::new() })
    }

    /// Makes the next interface.
    fn add(&mut self) -> anyhow::Result<()> {
        let number = self.times.len();
        let (took, made) = match &mut self.bridge {
            Bridge::Ours(network, dir) => {
                let request = request(dir, number);
                self.namespace.run(|| {
                    timed(|| network.attach(&request).map(drop).map_err(anyhow::Error::from))
                })
            }
            Bridge::Floor(floor) => {
                let tap = names::tap(
                    &InterfaceName::default_bridge(),
                    "floor",
                    &format!("vm{number}"),
                    "eth0",
                );
                self.namespace.run(|| timed(|| floor.make(&tap)))
            }
        };
        made?;
        self.times.push(took);
        Ok(())
    }

    /// Of the interfaces since one.
    fn median_ms(&self, since: usize) -> f64 {
        let mut sample = Sample::default();
        self.times[since..].iter().for_each(|took| sample.add(*took));
        sample.percentile_ms(50)
    }
}

/// All in turn: ours, the floor, and once a bridge is nearly full another that is empty of each, since this
/// machine is not as quick at all times. Nothing is removed meanwhile.
pub(super) fn run(dir: &Path) -> anyhow::Result<()> {
    let mut full = [Measured::ours(dir, "full")?, Measured::floor()?];
    for number in 0..GUESTS - LAST {
        in_turn(number, &mut full)?;
    }
    let (ours, floor) = (full[0].median_ms(0), full[1].median_ms(0));
    println!("  {} one after another           p50 {ours:.3} ms", GUESTS - LAST);
    println!("  the floor                       p50 {floor:.3} ms");
    println!("  ours / floor                    {:.2} (promised: at most 1.3)", ours / floor);

    let mut fresh = [Measured::ours(dir, "fresh")?, Measured::floor()?];
    // A bridge without a link is down, and its first link is dearer than all others.
    for bridge in &mut fresh {
        bridge.add()?;
    }
    for number in 0..LAST {
        if number % 2 == 0 {
            in_turn(number / 2, &mut fresh)?;
            in_turn(number / 2, &mut full)?;
        } else {
            in_turn(number / 2, &mut full)?;
            in_turn(number / 2, &mut fresh)?;
        }
    }
    for (index, whose) in ["ours", "the floor"].into_iter().enumerate() {
        let first = fresh[index].median_ms(1);
        let last = full[index].median_ms(GUESTS - LAST);
        let promised = if index == 0 { " (promised: at most 1.2)" } else { "" };
        println!(
            "  {whose:<9} first and last of {GUESTS} p50 {first:.3} ms, {last:.3} ms, {:.2} times{promised}",
            last / first
        );
    }
    let (took, swept) =
        full[0].namespace.run(|| timed(|| Network::sweep(&options(dir, "full").state_dir)));
    ensure!(swept?.interfaces.len() == GUESTS, "all of them go");
    println!("  all {GUESTS} swept                   {:.1} ms", took.as_secs_f64() * 1e3);
    Ok(())
}

fn in_turn(number: usize, bridges: &mut [Measured<'_>; 2]) -> anyhow::Result<()> {
    bridges[number % 2].add()?;
    bridges[1 - number % 2].add()
}
