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

/// Ours in turn with the floor; then of each a bridge that is nearly full in turn with one that is empty, since
/// this machine is not as quick at all times. Nothing is removed meanwhile.
pub(super) fn run(dir: &Path) -> anyhow::Result<()> {
    let mut full = [Measured::ours(dir, "full")?, Measured::floor()?];
    for number in 0..GUESTS - LAST {
        in_turn(number, &mut full)?;
    }
    let (ours, floor) = (full[0].median_ms(0), full[1].median_ms(0));
    println!("  {} one after another           p50 {ours:.3} ms", GUESTS - LAST);
    println!("  the floor                       p50 {floor:.3} ms");
    println!("  ours / floor                    {:.2} (promised: at most 1.3)", ours / floor);

    let [ours, floor] = full;
    let ours = growth("ours", " (promised: at most 1.2)", [ours, Measured::ours(dir, "fresh")?])?;
    growth("the floor", "", [floor, Measured::floor()?])?;
    let (took, swept) =
        ours.namespace.run(|| timed(|| Network::sweep(&options(dir, "full").state_dir)));
    ensure!(swept?.interfaces.len() == GUESTS, "all of them go");
    println!("  all {GUESTS} swept                   {:.1} ms", took.as_secs_f64() * 1e3);
    Ok(())
}

/// Compares the last interfaces of a bridge with the first of another. Returns the full one.
fn growth<'a>(
    whose: &str,
    promised: &str,
    mut bridges: [Measured<'a>; 2],
) -> anyhow::Result<Measured<'a>> {
    // A bridge without a link is down, and its first link is dearer than all others.
    bridges[1].add()?;
    for number in 0..LAST {
        in_turn(number, &mut bridges)?;
    }
    let (last, first) = (bridges[0].median_ms(GUESTS - LAST), bridges[1].median_ms(1));
    println!(
        "  {whose:<9} first and last of {GUESTS} p50 {first:.3} ms, {last:.3} ms, {:.2} times{promised}",
        last / first
    );
    let [full, _] = bridges;
    Ok(full)
}

fn in_turn(number: usize, bridges: &mut [Measured<'_>; 2]) -> anyhow::Result<()> {
    bridges[number % 2].add()?;
    bridges[1 - number % 2].add()
}
