//! Many starts at once, each jailed and with a network device and a published port of its own.
//!
//! Promised: every one succeeds.

use std::sync::Arc;
use std::time::Instant;

use anyhow::ensure;
use smartvm::{JailMode, NetworkInterfaceConfig, SmartVm, SmartVmOptions, VmConfig};
use smartvm_testkit::NetNamespace;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::sample::Sample;
use crate::setup::Setup;

/// How many VMs live at a time, and how often that many are started.
const VMS: u16 = 200;
const ROUNDS: usize = 5;
const AT_ONCE: usize = 16;

const FIRST_PORT: u16 = 20_000;

pub(crate) fn run() -> anyhow::Result<()> {
    let namespace = NetNamespace::new();
    // For good: the runtime's threads are made from here.
    namespace.enter();
    let setup = Setup::new()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut times = Sample::default();
    let mut failures = Vec::new();
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        runtime.block_on(round(&setup, &mut times, &mut failures))?;
    }
    let took = begun.elapsed().as_secs_f64();
    let started = VMS as usize * ROUNDS;
    println!("parallel: {AT_ONCE} at once, jailed, with a TAP and a published port of ours");
    println!(
        "{started} starts, p50 {:.1} ms, p99 {:.1} ms; all with their ends {took:.1} s",
        times.percentile_ms(50),
        times.percentile_ms(99)
    );
    println!("failed: {} (promised: 0)", failures.len());
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

/// Starts all VMs and removes them.
async fn round(
    setup: &Setup,
    times: &mut Sample,
    failures: &mut Vec<String>,
) -> anyhow::Result<()> {
    let manager = SmartVm::new(SmartVmOptions {
        data_dir: setup.home.path().join("data"),
        runtime_dir: setup.home.path().join("run"),
        network_state_dir: setup.home.path().join("net"),
        firecracker_binary_path: Some(setup.firecracker.clone()),
        jail: JailMode::Required,
        subnet: "172.30.0.0/22".parse()?,
        ..SmartVmOptions::default()
    })?;
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut starts = JoinSet::new();
    for number in 0..VMS {
        let device = NetworkInterfaceConfig {
            iface_id: "eth0".to_owned(),
            published_ports: vec![format!("{}:80", FIRST_PORT + number)],
            ..NetworkInterfaceConfig::default()
        };
        let config = VmConfig { network_interfaces: vec![device], ..setup.config() };
        let vm = manager.create_vm(&config)?;
        let places = Arc::clone(&places);
        starts.spawn(async move {
            let _place = places.acquire_owned().await;
            let begun = Instant::now();
            vm.start().await.map(|_| begun.elapsed())
        });
    }
    while let Some(done) = starts.join_next().await {
        match done? {
            Ok(took) => times.add(took),
            Err(error) => {
                let causes = anyhow::Error::from(error);
                failures.push(format!("{causes:#}"));
            }
        }
    }
    manager.cleanup().await?;
    Ok(())
}
