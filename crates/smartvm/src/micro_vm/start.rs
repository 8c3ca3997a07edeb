//! Starting: make everything in order, overlap what can be overlapped, boot.

use std::path::Path;

use smartvm_firecracker::{ApiClient, FirecrackerBinary, FirecrackerProcess, LaunchSpec};

use super::attempt::Attempt;
use super::call::call;
use super::clock::Clock;
use super::configure::Configure;
use super::files;
use super::handle::VmSetup;
use super::outputs::{self, Copies};
use super::report::StartReport;
use crate::config::LoggerConfig;
use crate::home::VmDir;
use crate::preflight;
use crate::smart_vm_error::SmartVmError;

/// Carries out a start. What it makes is put into `attempt` at once, so that dropping this future
/// at any point loses nothing.
///
/// The order: look at the host, take the directory, start Firecracker; while it comes up, copy the
/// drives; configure; boot.
pub(super) async fn start(
    setup: &VmSetup,
    attempt: &mut Attempt,
) -> Result<(ApiClient, StartReport), SmartVmError> {
    let mut clock = Clock::start();
    let options = &setup.options;
    preflight::check(&setup.spec, options.ephemeral_writable_drives)?;
    let binary = FirecrackerBinary::find(
        options.firecracker_binary_path.as_deref(),
        &options.data_dir,
        options.path_var.as_deref(),
    )?;
    let mut copies = Copies::open(setup)?;
    let console_copy = copies.console.take();
    clock.step("check");

    let dir = claim(setup).await?;
    let dir = attempt.dir.insert(dir);
    clock.step("directory");

    let work_dir = dir.work_dir();
    let unusable_dir = |source| SmartVmError::RuntimeDir { id: setup.spec.id().clone(), source };
    let (log, metrics) = copies.pipes(setup, &work_dir).map_err(unusable_dir)?;
    let logger = setup.spec.config().logger.as_ref();
    let launch = LaunchSpec {
        working_dir: Some(work_dir.path().to_owned()),
        socket_path: dir.socket_path(),
        instance_id: setup.spec.id().to_instance_id(),
        log_level: logger.and_then(|logger| logger.level).or(Some(LoggerConfig::DEFAULT_LEVEL)),
        log: Some(log),
        metrics: Some(metrics),
        console_capacity: options.console_capacity,
        die_with_parent: true,
    };
    let process = FirecrackerProcess::launch(&binary, launch).await?;
    let process = attempt.process.insert(process);
    attempt.recording = console_copy.map(|file| process.console().record(file));
    dir.record_process(process.identity()).map_err(unusable_dir)?;
    clock.step("launch");

    files::lay_out(setup, &work_dir, &mut attempt.staging).map_err(unusable_dir)?;
    let client = process.ready().await?;
    clock.step("api ready");

    if let Some(metrics) = outputs::metrics_request(setup) {
        call(process, "configure the metrics", client.put_metrics(&metrics)).await?;
    }
    let configure = Configure { process, client: &client, spec: &setup.spec };
    configure.machine().await?;
    clock.step("configure");
    if let Some(staging) = attempt.staging.as_mut() {
        let staged = staging.await;
        attempt.staging = None;
        staged.map_err(|panic| SmartVmError::Bug { what: panic.to_string() })??;
        clock.step("copy drives");
    }
    if configure.devices().await? > 0 {
        clock.step("attach devices");
    }
    if let Some(path) = configure.vsock_path() {
        dir.link(path, Path::new(files::VSOCK)).map_err(unusable_dir)?;
    }
    call(process, "start the guest", client.instance_start()).await?;
    clock.step("boot");
    Ok((client, clock.report()))
}

async fn claim(setup: &VmSetup) -> Result<VmDir, SmartVmError> {
    let (home, id) = (setup.home.clone(), setup.spec.id().clone());
    tokio::task::spawn_blocking(move || home.claim(&id))
        .await
        .map_err(|panic| SmartVmError::Bug { what: panic.to_string() })?
        .map_err(SmartVmError::from)
}
