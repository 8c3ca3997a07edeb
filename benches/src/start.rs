//! How long a start takes, from the call until Firecracker accepted InstanceStart.
//!
//! Promised: median at most 1.15 times the floor, 99th percentile at most 1.5 times.

use std::time::Instant;

use crate::sample::Sample;
use crate::setup::Setup;
use crate::{floor, seed_way};

const ROUNDS: usize = 300;
const SEED_ROUNDS: usize = 20;
const WARM_UP: usize = 10;

pub(crate) fn run() -> anyhow::Result<()> {
    let setup = Setup::new()?;
    let socket = setup.home.path().join("floor.sock");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (mut ours, mut by_hand, mut seed) =
        (Sample::default(), Sample::default(), Sample::default());
    let manager = setup.manager()?;
    for round in 0..ROUNDS + WARM_UP {
        let floor = floor::start(&setup.firecracker, &socket, &setup.kernel)?;
        let smartvm = runtime.block_on(async {
            let begun = Instant::now();
            let vm = manager.create_vm(&setup.config())?;
            vm.start().await?;
            let took = begun.elapsed();
            vm.cleanup().await?;
            anyhow::Ok(took)
        })?;
        if round >= WARM_UP {
            by_hand.add(floor);
            ours.add(smartvm);
        }
    }
    for _ in 0..SEED_ROUNDS {
        seed.add(seed_way::start(&setup.firecracker, &socket, &setup.kernel)?);
    }
    println!("start: from the call to InstanceStart accepted, tiny guest, measured alternately");
    println!("{:<34} {:>6} {:>11} {:>11}", "", "rounds", "median ms", "p99 ms");
    let rows = [
        ("floor (raw socket, by hand)", &by_hand),
        ("smartvm (create_vm + start)", &ours),
        ("the TypeScript original's way", &seed),
    ];
    for (name, sample) in rows {
        let (median, p99) = (sample.percentile_ms(50), sample.percentile_ms(99));
        println!("{name:<34} {:>6} {median:>11.2} {p99:>11.2}", sample.len());
    }
    let ratio = |percent| ours.percentile_ms(percent) / by_hand.percentile_ms(percent);
    println!("ratio smartvm / floor: median {:.2} (promised <= 1.15)", ratio(50));
    println!("                       p99    {:.2} (promised <= 1.50)", ratio(99));
    Ok(())
}
