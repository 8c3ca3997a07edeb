//! Starting: make everything in order, overlap what can be overlapped, boot.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use smartvm_firecracker::api::{BootSource, Drive, LogLevel};
use smartvm_firecracker::{ApiClient, ApiError, FirecrackerBinary, FirecrackerProcess, LaunchSpec};
use smartvm_images::stage_drive;
use tokio::task::JoinHandle;

use super::attempt::Attempt;
use super::handle::VmSetup;
use super::report::StartReport;
use crate::home::{Access, VmDir, WorkDir};
use crate::preflight;
use crate::smart_vm_error::SmartVmError;

/// The directory of the drives, in the work directory.
const DRIVES: &str = "drives";

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
    clock.step("check");

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
    let unusable_dir = |source| SmartVmError::RuntimeDir { id: setup.spec.id().clone(), source };
    dir.record_process(process.identity()).map_err(unusable_dir)?;
    clock.step("launch");

    let drives = plan_drives(setup, &work_dir, &mut attempt.staging).map_err(unusable_dir)?;
    let boot_source = expose_boot_source(setup, &work_dir).map_err(unusable_dir)?;
    let client = process.ready().await?;
    clock.step("api ready");

    let machine = client.put_machine_config(&setup.spec.machine);
    call(process, "configure the machine", machine).await?;
    let boot_source = client.put_boot_source(&boot_source);
    call(process, "set the boot source", boot_source).await?;
    clock.step("configure");

    if let Some(staging) = attempt.staging.as_mut() {
        let staged = staging.await;
        attempt.staging = None;
        staged.map_err(|panic| SmartVmError::Bug { what: panic.to_string() })??;
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
    Ok((client, clock.report()))
}

/// Awaits an API call, and tells an answer that never came because Firecracker died from one that
/// went wrong otherwise.
pub(super) async fn call<T>(
    process: &FirecrackerProcess,
    during: &'static str,
    answer: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, SmartVmError> {
    let failed = tokio::select! {
        biased;
        answer = answer => match answer {
            Ok(value) => return Ok(value),
            Err(failed) => failed,
        },
        exit = process.exited() => return Err(SmartVmError::Exited { during, exit }),
    };
    if failed.is_refusal() {
        return Err(SmartVmError::Api { call: during, source: failed });
    }
    // The connection broke: the process is dying as a rule, and then its exit says more.
    match tokio::time::timeout(Duration::from_secs(1), process.exited()).await {
        Ok(exit) => Err(SmartVmError::Exited { during, exit }),
        Err(_) => Err(SmartVmError::Api { call: during, source: failed }),
    }
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

/// Measures the steps of a start.
struct Clock {
    begun: Instant,
    last: Instant,
    steps: Vec<(&'static str, Duration)>,
}

impl Clock {
    fn start() -> Self {
        let now = Instant::now();
        Self { begun: now, last: now, steps: Vec::with_capacity(8) }
    }

    fn step(&mut self, name: &'static str) {
        let now = Instant::now();
        self.steps.push((name, now - self.last));
        self.last = now;
    }

    fn report(self) -> StartReport {
        StartReport { steps: self.steps, total: self.last - self.begun }
    }
}
