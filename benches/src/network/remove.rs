//! Removing interfaces.

use std::time::Instant;

use smartvm_network::{InterfaceName, names};
use smartvm_testkit::NetNamespace;

use super::floor::Floor;
use crate::sample::Sample;

/// A hundred TAPs at once, and one by one.
pub(super) fn run() -> anyhow::Result<()> {
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
