//! Starting: make everything in order, overlap what can be overlapped, boot.

use std::io;
use std::path::{Path, PathBuf};

use smartvm_firecracker::api::{BootSource, Drive, LogLevel};
use smartvm_firecracker::{ApiClient, FirecrackerBinary, FirecrackerProcess, LaunchSpec};
use smartvm_images::stage_drive;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::attempt::Attempt;
use super::call::call;
use super::clock::Clock;
use super::handle::VmSetup;
use super::report::StartReport;
use super::restore::restore;
use crate::home::{Access, VmDir, WorkDir};
use crate::lifecycle::VmState;
use crate::preflight;
use crate::smart_vm_error::SmartVmError;

/// The directory of the drives, in the work directory.
const DRIVES: &str = "drives";

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

    let drives = plan_drives(setup, &work_dir, staging).map_err(unusable_dir)?;
    let boot_source = expose_boot_source(setup, &work_dir).map_err(unusable_dir)?;
    let client = process.ready().await?;
    clock.step("api ready");

    let machine = client.put_machine_config(&setup.spec.machine);
    call(process, "configure the machine", machine).await?;
    let boot_source = client.put_boot_source(&boot_source);
    call(process, "set the boot source", boot_source).await?;
    clock.step("configure");

    if staged(staging).await? {
        clock.step("copy drives");
    }
    for drive in &drives {
        call(process, "attach a drive", client.put_drive(drive)).await?;
    }
    if !drives.is_empty() {
        clock.step("attach drives");
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
    let dir = claim(setup).await?;
    let dir = attempt.dir.insert(dir);
    clock.step("directory");

    let work_dir = dir.work_dir();
    let launch = LaunchSpec {
        working_dir: Some(work_dir.path().to_owned()),
        socket_path: dir.socket_path(),
        instance_id: setup.spec.id().to_instance_id(),
        // At Info, Firecracker writes two lines for every call.
        log_level: Some(LogLevel::Warning),
        console_capacity: options.console_capacity,
        die_with_parent: true,
    };
    let process = FirecrackerProcess::launch(&binary, launch).await?;
    let process = attempt.process.insert(process);
    dir.record_process(process.identity())
        .map_err(|source| SmartVmError::RuntimeDir { id: setup.spec.id().clone(), source })?;
    clock.step("launch");
    Ok(binary)
}

/// Waits for the private copies of drives, if there are any.
pub(super) async fn staged(
    staging: &mut Option<JoinHandle<Result<(), SmartVmError>>>,
) -> Result<bool, SmartVmError> {
    let Some(copying) = staging.as_mut() else { return Ok(false) };
    let staged = copying.await;
    *staging = None;
    staged.map_err(|panic| SmartVmError::Bug { what: panic.to_string() })??;
    Ok(true)
}

async fn claim(setup: &VmSetup) -> Result<VmDir, SmartVmError> {
    let (home, id) = (setup.home.clone(), setup.spec.id().clone());
    tokio::task::spawn_blocking(move || home.claim(&id))
        .await
        .map_err(|panic| SmartVmError::Bug { what: panic.to_string() })?
        .map_err(SmartVmError::from)
}

/// Decides where each drive's content is, and starts making the private copies.
fn plan_drives(
    setup: &VmSetup,
    work_dir: &WorkDir,
    staging: &mut Option<JoinHandle<Result<(), SmartVmError>>>,
) -> io::Result<Vec<Drive>> {
    let mut copies = Vec::new();
    let mut drives = Vec::new();
    let ephemeral = setup.options.ephemeral_writable_drives;
    if !setup.spec.drives.is_empty() {
        work_dir.make_dir(DRIVES)?;
    }
    for drive in &setup.spec.drives {
        let config = drive.config();
        let source = &config.path_on_host;
        let name = Path::new(DRIVES).join(drive.staged_name());
        if config.is_staged(ephemeral) {
            copies.push((source.clone(), name.clone()));
        } else if config.is_read_only == Some(true) {
            work_dir.expose(source, &name, Access::ReadOnly)?;
        } else {
            work_dir.expose(source, &name, Access::ReadWrite)?;
        }
        drives.push(config.to_wire(name));
    }
    if !copies.is_empty() {
        let work_dir = work_dir.clone();
        *staging = Some(tokio::task::spawn_blocking(move || {
            copies.iter().try_for_each(|(source, name)| {
                let target = work_dir.host_path(name);
                stage_drive(source, &target)?;
                work_dir.adopt(name).map_err(|source| SmartVmError::Adopt { path: target, source })
            })
        }));
    }
    Ok(drives)
}

/// The boot source with the names that Firecracker finds the files by.
fn expose_boot_source(setup: &VmSetup, work_dir: &WorkDir) -> io::Result<BootSource> {
    let mut boot_source = setup.spec.boot_source.clone();
    let expose = |path: &mut PathBuf, name: &str| {
        work_dir.expose(path, Path::new(name), Access::ReadOnly)?;
        *path = name.into();
        io::Result::Ok(())
    };
    expose(&mut boot_source.kernel_image_path, "kernel")?;
    if let Some(initrd) = &mut boot_source.initrd_path {
        expose(initrd, "initrd")?;
    }
    Ok(boot_source)
}
