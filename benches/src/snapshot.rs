//! How long a restore takes.
//!
//! Promised: from the load call until the guest runs, at most 1.15 times Firecracker's own load by
//! hand over a raw socket. For information: the whole way, from the call until the guest runs, beside
//! spawn, connect and load by hand; both with memory given page by page, and in a jail; and the whole way of
//! jailed restores of a large guest, whose memory is hashed at most once.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use smartvm::snapshot::{CreateSnapshot, MemoryBackend, RestoreVm, Snapshot};
use smartvm::{JailMode, SmartVm, StartReport, VmConfig};

use crate::floor;
use crate::sample::Sample;
use crate::setup::Setup;

const ROUNDS: usize = 300;
const WARM_UP: usize = 10;

/// The memory of the large guest.
const LARGE_MIB: u64 = 512;
const LARGE_ROUNDS: usize = 30;

/// How many are restored at once.
const AT_ONCE: usize = 5;

/// Both figures of one way to restore.
#[derive(Default)]
struct Restores {
    load: Sample,
    whole: Sample,
}

pub(crate) fn run() -> anyhow::Result<()> {
    let setup = Setup::new()?;
    let socket = setup.home.path().join("floor.sock");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let manager = setup.manager()?;
    let jailing = setup.manager_with(JailMode::Required)?;
    let snapshot = runtime.block_on(save(&manager, &setup.config(), "bench"))?;
    let mut by_hand = Restores::default();
    let (mut file, mut uffd, mut jailed) =
        (Restores::default(), Restores::default(), Restores::default());
    for round in 0..ROUNDS + WARM_UP {
        let (load, whole) = load_by_hand(&setup.firecracker, &socket, &snapshot)?;
        let from_file = runtime.block_on(restore(&manager, &snapshot, MemoryBackend::File))?;
        let by_page = runtime.block_on(restore(&manager, &snapshot, MemoryBackend::Uffd))?;
        let in_jail = runtime.block_on(restore(&jailing, &snapshot, MemoryBackend::File))?;
        if round < WARM_UP {
            continue;
        }
        by_hand.load.add(load);
        by_hand.whole.add(whole);
        let reports = [(&mut file, from_file), (&mut uffd, by_page), (&mut jailed, in_jail)];
        for (restores, report) in reports {
            let load = report.steps.iter().find(|(step, _)| *step == "load");
            restores.load.add(load.context("a restore loads")?.1);
            restores.whole.add(report.total);
        }
    }
    println!("snapshot: restores of a tiny guest of 32 MiB, measured alternately");
    println!("{:<36} {:>6} {:>11} {:>11} {:>9}", "", "rounds", "load ms", "p99 ms", "whole ms");
    for (name, restores) in [
        ("floor (raw socket, by hand)", &by_hand),
        ("smartvm", &file),
        ("smartvm, Uffd", &uffd),
        ("smartvm, jailed", &jailed),
    ] {
        println!(
            "{name:<36} {:>6} {:>11.2} {:>11.2} {:>9.2}",
            restores.load.len(),
            restores.load.percentile_ms(50),
            restores.load.percentile_ms(99),
            restores.whole.percentile_ms(50),
        );
    }
    let ratio =
        |of: fn(&Restores) -> &Sample| of(&file).percentile_ms(50) / of(&by_hand).percentile_ms(50);
    println!("ratio smartvm / floor: load  {:.2} (promised <= 1.15)", ratio(|it| &it.load));
    println!("                       whole {:.2} (for information)", ratio(|it| &it.whole));
    runtime.block_on(large(&jailing, &setup))
}

/// Jailed restores of one snapshot, one after the other and several at once.
async fn large(manager: &SmartVm, setup: &Setup) -> anyhow::Result<()> {
    let mut config = setup.config();
    config.machine_config.mem_size_mib = LARGE_MIB;
    let snapshot = save(manager, &config, "large").await?;
    let first = restore(manager, &snapshot, MemoryBackend::File).await?.total;
    let mut later = Sample::default();
    for _ in 0..LARGE_ROUNDS {
        later.add(restore(manager, &snapshot, MemoryBackend::File).await?.total);
    }
    let mut together = Sample::default();
    for _ in 0..LARGE_ROUNDS {
        let vms = (0..AT_ONCE)
            .map(|_| manager.restore_vm(RestoreVm::new(snapshot.name().clone())))
            .collect::<Result<Vec<_>, _>>()?;
        let begun = Instant::now();
        let starts: Vec<_> =
            vms.iter().cloned().map(|vm| tokio::spawn(async move { vm.start().await })).collect();
        for start in starts {
            start.await??;
        }
        together.add(begun.elapsed());
        for vm in vms {
            vm.cleanup().await?;
        }
    }
    println!("snapshot: jailed restores of a guest of {LARGE_MIB} MiB, the whole way");
    println!("the first {:.1} ms", first.as_secs_f64() * 1e3);
    for (name, sample) in [("later ones", &later), ("five at once, all of them", &together)] {
        let (median, p99) = (sample.percentile_ms(50), sample.percentile_ms(99));
        println!("{name}: median {median:.1} ms, p99 {p99:.1} ms");
    }
    Ok(())
}

async fn save(manager: &SmartVm, config: &VmConfig, name: &str) -> anyhow::Result<Snapshot> {
    let vm = manager.create_vm(config)?;
    vm.start().await?;
    let snapshot = vm.create_snapshot(CreateSnapshot::full(name.parse()?)).await?;
    vm.cleanup().await?;
    Ok(snapshot)
}

async fn restore(
    manager: &SmartVm,
    snapshot: &Snapshot,
    backend: MemoryBackend,
) -> anyhow::Result<StartReport> {
    let mut request = RestoreVm::new(snapshot.name().clone());
    request.backend = backend;
    let vm = manager.restore_vm(request)?;
    let report = vm.start().await?;
    vm.cleanup().await?;
    Ok(report)
}

/// Returns how long the load took, and how long all of it.
fn load_by_hand(
    firecracker: &Path,
    socket: &Path,
    snapshot: &Snapshot,
) -> anyhow::Result<(Duration, Duration)> {
    let begun = Instant::now();
    let mut child = floor::spawn(firecracker, socket)?;
    let loaded = load(socket, snapshot).map(|load| (load, begun.elapsed()));
    child.kill()?;
    child.wait()?;
    fs_err::remove_file(socket).ok();
    loaded
}

fn load(socket: &Path, snapshot: &Snapshot) -> anyhow::Result<Duration> {
    let mut stream = floor::connect(socket)?;
    // As our client does, which must know whom it talks to.
    floor::exchange(&mut stream, "GET /version", "")?;
    let (vmstate, memory) = (snapshot.vmstate_path(), snapshot.memory_path());
    let body = format!(
        r#"{{"snapshot_path":"{}","mem_backend":{{"backend_type":"File","backend_path":"{}"}},"resume_vm":true}}"#,
        vmstate.display(),
        memory.display(),
    );
    let begun = Instant::now();
    floor::exchange(&mut stream, "PUT /snapshot/load", &body)?;
    Ok(begun.elapsed())
}
