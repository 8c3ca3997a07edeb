//! How long a jailed start takes, from the call until Firecracker accepted InstanceStart.
//!
//! Promised: median at most 1.3 times the jailer by hand with the same requests.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use smartvm::JailMode;
use smartvm_testkit::fixtures;

use crate::floor;
use crate::sample::Sample;
use crate::setup::Setup;

const ROUNDS: usize = 300;
const WARM_UP: usize = 10;

/// A user that nobody is.
const UID: &str = "1899999999";

pub(crate) fn run() -> anyhow::Result<()> {
    let setup = Setup::new()?;
    let base = setup.home.path().join("by-hand");
    fs_err::create_dir(&base)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (mut ours, mut by_hand) = (Sample::default(), Sample::default());
    let manager = setup.manager_with(JailMode::Required)?;
    for round in 0..ROUNDS + WARM_UP {
        let floor = start_by_hand(&setup, &base)?;
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
    println!("jail: from the call to InstanceStart accepted, tiny guest, measured alternately");
    println!("{:<34} {:>6} {:>11} {:>11}", "", "rounds", "median ms", "p99 ms");
    for (name, sample) in [("jailer by hand", &by_hand), ("smartvm (create_vm + start)", &ours)] {
        let (median, p99) = (sample.percentile_ms(50), sample.percentile_ms(99));
        println!("{name:<34} {:>6} {median:>11.2} {p99:>11.2}", sample.len());
    }
    let ratio = |percent| ours.percentile_ms(percent) / by_hand.percentile_ms(percent);
    println!("ratio smartvm / by hand: median {:.2} (promised <= 1.30)", ratio(50));
    println!("                         p99    {:.2}", ratio(99));
    Ok(())
}

/// What a person would do: a directory with the kernel, and the jailer.
fn start_by_hand(setup: &Setup, base: &Path) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let jail = base.join("firecracker").join("by-hand");
    let root = jail.join("root");
    fs_err::create_dir_all(&root)?;
    fs_err::hard_link(&setup.kernel, root.join("kernel"))?;
    let mut child = Command::new(fixtures::jailer())
        .args(["--id", "by-hand", "--uid", UID, "--gid", UID, "--exec-file"])
        .arg(&setup.firecracker)
        .arg("--chroot-base-dir")
        .arg(base)
        .args(["--", "--api-sock", "firecracker.sock"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let booted = floor::boot(&root.join("firecracker.sock"), Path::new("kernel"));
    let took = begun.elapsed();
    child.kill()?;
    child.wait()?;
    fs_err::remove_dir_all(jail)?;
    booted.map(|()| took)
}
