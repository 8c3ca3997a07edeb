//! Starting: make everything in order, overlap what can be overlapped, boot.

use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::process::geteuid;
use smartvm_dir::GiveUp;
use smartvm_firecracker::{ApiClient, FirecrackerBinary, FirecrackerProcess, LaunchSpec};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::attempt::{Attempt, Claimed, Staging};
use super::call::call;
use super::clock::Clock;
use super::configure::Configure;
use super::files;
use super::handle::VmSetup;
use super::images;
use super::outputs::{self, Copies, Pipes};
use super::report::StartReport;
use super::restore::restore;
use super::version_gate;
use crate::config::LoggerConfig;
use crate::disk::{DiskLedger, DiskUse};
use crate::home::{VmDir, WorkDir};
use crate::jail::{Confinement, JailPlan, NotJailed};
use crate::lifecycle::VmState;
use crate::network::{Attached, Plan};
use crate::preflight;
use crate::smart_vm_error::SmartVmError;
use crate::vsock::{self, Doorbell};

/// How long Firecracker may take to read kernel and initial RAM disk, which it does before it answers.
const BOOT_PATIENCE: Duration = Duration::from_secs(60);

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
    // Before the files are looked at: they stay from here on.
    let images = attempt.images.insert(images::keep(setup).await?).clone();
    preflight::check(&setup.spec, setup.options.ephemeral_writable_drives)?;
    images::take(setup, &images).await?;
    let disk = promised(setup, attempt).await?;
    clock.step("check");
    let lay_out = |work_dir: &WorkDir, staging: &mut Staging| {
        files::lay_out(setup, (&images, &disk), work_dir, staging)
    };
    let launched = bring_up(setup, attempt, &mut clock, lay_out).await?;
    let attached = attached(setup, attempt).await?;
    if attempt.dir.as_ref().is_some_and(VmDir::has_interfaces) {
        clock.step("network");
    }
    let (dir, process, staging) = attempt.made();
    let unusable_dir = |source| SmartVmError::RuntimeDir { id: setup.spec.id().clone(), source };
    let client = launched.ready(dir, process).await?.with_pci(setup.spec.config().enable_pci);
    clock.step("api ready");

    outputs::describe_metrics(setup, process, &client).await?;
    let configure = Configure { process, client: &client, spec: &setup.spec, attached: &attached };
    configure.machine().await?;
    clock.step("configure");
    if staged(staging).await? {
        clock.step("copy drives");
    }
    if configure.devices().await? > 0 {
        clock.step("attach devices");
    }
    if let Some(path) = configure.vsock_path() {
        dir.link(path, Path::new(vsock::SOCKET)).map_err(unusable_dir)?;
    }
    let patient = client.clone().with_deadline(BOOT_PATIENCE);
    call(process, "start the guest", patient.instance_start()).await?;
    clock.step("boot");
    let report = clock.report(launched.confinement);
    Ok(Started { client, report, state: VmState::Running, counted_from: None })
}

/// Begins to count what the VM may come to take of the disk.
pub(super) async fn promised(
    setup: &VmSetup,
    attempt: &mut Attempt,
) -> Result<DiskUse, SmartVmError> {
    let (ledger, what) = (DiskLedger::from(&*setup.options), format!("VM {}", setup.spec.id()));
    let disk = DiskUse::new(ledger, what, outputs::most_bytes(setup), attempt.give_up.clone());
    let admitted = attempt.disk.insert(disk.clone()).clone();
    let admitted = tokio::task::spawn_blocking(move || admitted.admit_logs()).await;
    admitted.map_err(|panic| SmartVmError::Bug { what: panic.to_string() })??;
    Ok(disk)
}

/// A Firecracker that was started and is not ready yet.
pub(super) struct Launched {
    pub(super) binary: FirecrackerBinary,
    pub(super) confinement: Confinement,
}

impl Launched {
    /// Waits for its API; a jail is finished then.
    pub(super) async fn ready(
        &self,
        dir: &VmDir,
        process: &FirecrackerProcess,
    ) -> Result<ApiClient, SmartVmError> {
        let Some(jail) = dir.jail() else { return Ok(process.ready().await?) };
        let (client, same) = tokio::join!(process.ready(), jail.check_versions(&self.binary));
        same?;
        let client = client?;
        let sealed = dir.work_dir().seal();
        sealed
            .map_err(|source| SmartVmError::Adopt { path: dir.work_dir().path().into(), source })?;
        Ok(client)
    }
}

/// Takes the directory, makes the jail if there is to be one, has `lay_out` put the VM's files in
/// place and starts Firecracker, which is not ready yet when this returns.
///
/// The files come first: what a jail cannot link is mounted for it when it starts.
pub(super) async fn bring_up(
    setup: &VmSetup,
    attempt: &mut Attempt,
    clock: &mut Clock,
    lay_out: impl FnOnce(&WorkDir, &mut Staging) -> io::Result<()>,
) -> Result<Launched, SmartVmError> {
    let options = &setup.options;
    let binary = options.find_binary()?;
    if setup.restore.is_none() {
        version_gate::check(&binary, &setup.spec, &options.accepted_defects).await?;
    }
    let jail = JailPlan::new(options, setup.spec.config(), &binary)?;
    // It does not count for root.
    if jail.is_ok() || !geteuid().is_root() {
        preflight::check_threads(setup.spec.config().machine_config.vcpu_count)?;
    }
    let mut copies = Copies::open(setup)?;
    let console_copy = copies.console.take();
    let (jail, confinement) = confinement(jail);
    let claimed = claim(setup, jail, attempt).await?;
    let dir = attempt.dir.insert(claimed.dir);
    if let Some(images) = &attempt.images {
        dir.hold(images.clone());
    }
    if let Some(disk) = &attempt.disk {
        dir.hold_disk(disk.clone());
    }
    claimed
        .jail
        .map_err(|source| SmartVmError::MakeJail { id: setup.spec.id().clone(), source })?;
    let confinement = match (confinement, dir.jail()) {
        (Some(none), _) => none,
        (None, Some(jail)) => jail.confinement(),
        (None, None) => unreachable!("a jail was planned, and making it did not fail"),
    };
    clock.step("directory");

    let unusable_dir = |source| SmartVmError::RuntimeDir { id: setup.spec.id().clone(), source };
    if setup.restore.is_none() {
        attempt.attaching = attach(setup, dir, &attempt.give_up).map_err(unusable_dir)?;
    }
    let work_dir = dir.work_dir();
    lay_out(&work_dir, &mut attempt.staging).map_err(unusable_dir)?;
    if setup.spec.config().vsock.is_some() {
        attempt.doorbell = Some(Doorbell::listen(&work_dir).map_err(unusable_dir)?);
    }
    let Pipes { log, metrics, serial } = copies.pipes(setup, &work_dir).map_err(unusable_dir)?;
    attempt.serial = serial;
    let logger = setup.spec.config().logger.as_ref();
    let launch = LaunchSpec {
        working_dir: Some(work_dir.path().to_owned()),
        socket_path: dir.socket_path(),
        instance_id: setup.spec.id().to_instance_id(),
        vm: Some(setup.spec.id().to_string()),
        log_level: logger.and_then(|logger| logger.level).or(Some(LoggerConfig::DEFAULT_LEVEL)),
        enable_pci: setup.spec.config().enable_pci,
        log: Some(log),
        metrics: Some(metrics),
        console_capacity: options.console_capacity,
        die_with_parent: true,
    };
    let process = match dir.jail() {
        None => FirecrackerProcess::launch(&binary, launch).await?,
        Some(jail) => FirecrackerProcess::launch_jailed(&binary, &jail.spec(), launch).await?,
    };
    let process = attempt.process.insert(process);
    attempt.recording = console_copy.map(|file| process.console().record(file));
    dir.record_process(process.identity()).map_err(unusable_dir)?;
    clock.step("launch");
    Ok(Launched { binary, confinement })
}

/// Begins to make the VM's network devices, of those that are made for it, while Firecracker comes up.
fn attach(
    setup: &VmSetup,
    dir: &mut VmDir,
    give_up: &GiveUp,
) -> io::Result<Option<JoinHandle<Result<Attached, SmartVmError>>>> {
    let user = dir.user();
    let plan = Plan::new(&setup.spec, &setup.options, &setup.network, dir.path(), user);
    let Some(plan) = plan else { return Ok(None) };
    dir.record_interfaces(plan.records())?;
    let (spec, give_up) = (setup.spec.clone(), give_up.clone());
    let attaching = move || give_up.during(|| plan.carry_out(&spec));
    Ok(Some(tokio::task::spawn_blocking(attaching)))
}

/// Waits for the network devices, if any are made.
async fn attached(setup: &VmSetup, attempt: &mut Attempt) -> Result<Attached, SmartVmError> {
    let Some(attaching) = attempt.attaching.as_mut() else { return Ok(Attached::of(&setup.spec)) };
    let attached = attaching.await;
    attempt.attaching = None;
    attached.map_err(|panic| SmartVmError::Bug { what: panic.to_string() })?
}

/// Waits for the private copies of drives, if there are any.
pub(super) async fn staged(staging: &mut Staging) -> Result<bool, SmartVmError> {
    let Some(copying) = staging.as_mut() else { return Ok(false) };
    let staged = copying.await;
    *staging = None;
    staged.map_err(|panic| SmartVmError::Bug { what: panic.to_string() })??;
    Ok(true)
}

/// The plan of the jail, or why there is none.
fn confinement(plan: Result<JailPlan, NotJailed>) -> (Option<JailPlan>, Option<Confinement>) {
    match plan {
        Ok(plan) => (Some(plan), None),
        Err(reason) => (None, Some(Confinement::NotJailed { reason })),
    }
}

/// Takes the VM's directory, and makes the jail if there is to be one: a few directories and files, under locks
/// that are never held for longer than that takes. A start that is interrupted meanwhile gives it back.
async fn claim(
    setup: &VmSetup,
    jail: Option<JailPlan>,
    attempt: &mut Attempt,
) -> Result<Claimed, SmartVmError> {
    let (home, id) = (setup.home.clone(), setup.spec.id().clone());
    let give_up = attempt.give_up.clone();
    let claim = move || {
        let mut dir = home.claim(&id)?;
        let jail = match jail {
            None => Ok(()),
            Some(plan) => dir.make_jail(plan, &id.to_instance_id()).map(drop),
        };
        Ok(Claimed { dir, jail })
    };
    let claiming = tokio::task::spawn_blocking(move || give_up.during(claim));
    let claimed = attempt.claiming.insert(claiming).await;
    attempt.claiming = None;
    Ok(claimed.map_err(|panic| SmartVmError::Bug { what: panic.to_string() })??)
}
