//! Starting: make everything in order, overlap what can be overlapped, boot.

use std::path::Path;

use smartvm_firecracker::{ApiClient, FirecrackerBinary, FirecrackerProcess, LaunchSpec};
use uuid::Uuid;

use super::attempt::{Attempt, Staging};
use super::call::call;
use super::clock::Clock;
use super::configure::Configure;
use super::files;
use super::handle::VmSetup;
use super::outputs::{self, Copies};
use super::report::StartReport;
use super::restore::restore;
use super::version_gate;
use crate::config::LoggerConfig;
use crate::home::VmDir;
use crate::lifecycle::VmState;
use crate::preflight;
use crate::smart_vm_error::SmartVmError;

/// A guest that was started.
pub(super) struct Started {
    pub(super) client: ApiClient,
    pub(super) report: StartReport,
    /// Running, or paused.
    pub(super) state: VmState,
    /// The snapshot that the guest's changes are counted from.
    pub(super) counted_from: Option<Uuid>,
}

/// Carries out a start. What it makes is put into `attempt` at once, so that dropping this future
/// at any point loses nothing.
///
/// The order: look at the host, take the directory, start Firecracker; while it comes up, copy the
/// drives; configure; boot.
pub(super) async fn start(setup: &VmSetup, attempt: &mut Attempt) -> Result<Started, SmartVmError> {
    if let Some(plan) = &setup.restore {
        return restore(setup, plan, attempt).await;
    }
    let mut clock = Clock::start();
    preflight::check(&setup.spec, setup.options.ephemeral_writable_drives)?;
    clock.step("check");
    bring_up(setup, attempt, &mut clock).await?;
    let (dir, process, staging) = attempt.made();
    let work_dir = dir.work_dir();
    let unusable_dir = |source| SmartVmError::RuntimeDir { id: setup.spec.id().clone(), source };

    files::lay_out(setup, &work_dir, staging).map_err(unusable_dir)?;
    let client = process.ready().await?.with_pci(setup.spec.config().enable_pci);
    clock.step("api ready");

    outputs::describe_metrics(setup, process, &client).await?;
    let configure = Configure { process, client: &client, spec: &setup.spec };
    configure.machine().await?;
    clock.step("configure");
    if staged(staging).await? {
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
    Ok(Started { client, report: clock.report(), state: VmState::Running, counted_from: None })
}

/// Takes the directory and starts Firecracker, which is not ready yet when this returns.
pub(super) async fn bring_up(
    setup: &VmSetup,
    attempt: &mut Attempt,
    clock: &mut Clock,
) -> Result<FirecrackerBinary, SmartVmError> {
    let options = &setup.options;
    let binary = FirecrackerBinary::find(
        options.firecracker_binary_path.as_deref(),
        &options.data_dir,
        options.path_var.as_deref(),
    )?;
    if setup.restore.is_none() {
        version_gate::check(&binary, &setup.spec).await?;
    }
    let mut copies = Copies::open(setup)?;
    let console_copy = copies.console.take();
    let dir = claim(setup, attempt).await?;
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
        enable_pci: setup.spec.config().enable_pci,
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
    Ok(binary)
}

/// Waits for the private copies of drives, if there are any.
pub(super) async fn staged(staging: &mut Staging) -> Result<bool, SmartVmError> {
    let Some(copying) = staging.as_mut() else { return Ok(false) };
    let staged = copying.await;
    *staging = None;
    staged.map_err(|panic| SmartVmError::Bug { what: panic.to_string() })??;
    Ok(true)
}

/// Takes the VM's directory. A start that is interrupted meanwhile gives it back.
async fn claim(setup: &VmSetup, attempt: &mut Attempt) -> Result<VmDir, SmartVmError> {
    let (home, id) = (setup.home.clone(), setup.spec.id().clone());
    let claiming = tokio::task::spawn_blocking(move || home.claim(&id));
    let claimed = attempt.claiming.insert(claiming).await;
    attempt.claiming = None;
    Ok(claimed.map_err(|panic| SmartVmError::Bug { what: panic.to_string() })??)
}
