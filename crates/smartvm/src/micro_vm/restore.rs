//! Going on from a snapshot instead of booting.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use fs_err::File;
use smartvm_firecracker::api::{
    MemoryBackend as LoadBackend, MemoryBackendType, NetworkOverride, SnapshotLoadParams,
    VsockOverride,
};
use smartvm_firecracker::capability::{KnownDefect, Program, Use};
use smartvm_firecracker::{ApiClient, FirecrackerProcess, FirecrackerVersion, SnapshotFormat};

use super::attempt::{Attempt, Staging};
use super::call::call;
use super::clock::Clock;
use super::configure::Configure;
use super::files::stage;
use super::handle::VmSetup;
use super::images;
use super::outputs;
use super::start::{Started, bring_up, promised, staged};
use crate::disk::DiskUse;
use crate::home::{Access, WorkDir};
use crate::lifecycle::VmState;
use crate::manager::SmartVm;
use crate::network::Attached;
use crate::preflight;
use crate::smart_vm_error::SmartVmError;
use crate::snapshot::{
    DriveContent, MemoryBackend, RestorePlan, SnapshotError, SnapshotStore, UffdHandler, UffdPeer,
};

/// The snapshot's files and our socket, in the work directory.
const VMSTATE: &str = "restore.vmstate";
const MEMORY: &str = "restore.memory";
const UFFD: &str = "uffd.sock";

/// How long Firecracker may take to load; with a slow disk under many VMs it may be seconds.
const LOAD_PATIENCE: Duration = Duration::from_secs(60);

/// Carries out a restore; see [`start`](super::start::start), whose promises are the same.
///
/// The order: look at the snapshot and the host, take the directory, start Firecracker; while it comes
/// up, copy the drives; compare versions; load.
pub(super) async fn restore(
    setup: &VmSetup,
    plan: &RestorePlan,
    attempt: &mut Attempt,
) -> Result<Started, SmartVmError> {
    let mut clock = Clock::start();
    for interface in &setup.spec.config().network_interfaces {
        preflight::check_tap(interface, &setup.spec.config().jail)?;
    }
    attempt.images = Some(images::take_for_restore(setup, plan).await?);
    // Until it was loaded: then Firecracker has its files open.
    let _held = verify(setup, plan).await?;
    let disk = promised(setup, attempt).await?;
    clock.step("verify");
    let snapshot = &plan.snapshot;
    let lay_out = |work_dir: &WorkDir, staging: &mut Staging| {
        plan_drives(plan, &disk, work_dir, staging)?;
        let expose =
            |file: &Path, name: &str| work_dir.expose(file, Path::new(name), Access::ReadOnly);
        expose(&snapshot.vmstate_path(), VMSTATE)?;
        match plan.request.backend {
            MemoryBackend::File => expose(&snapshot.memory_path(), MEMORY),
            MemoryBackend::Uffd => Ok(()),
        }
    };
    let launched = bring_up(setup, attempt, &mut clock, lay_out).await?;

    let (dir, process, staging) = attempt.made();
    let work_dir = dir.work_dir();
    let unusable_dir = |source| SmartVmError::RuntimeDir { id: setup.spec.id().clone(), source };
    let mut uffd = None;
    if plan.request.backend == MemoryBackend::Uffd {
        let socket = work_dir.place(Path::new(UFFD)).map_err(unusable_dir)?;
        let (uid, _) = dir.user();
        let peer = UffdPeer { pid: process.identity().pid, uid };
        let handler = UffdHandler::start(socket, &snapshot.memory_path(), peer);
        uffd = Some(handler.map_err(unusable_dir)?);
        work_dir.adopt(Path::new(UFFD)).map_err(unusable_dir)?;
    }

    let client = launched.ready(dir, process).await?;
    clock.step("api ready");
    let version = call(process, "ask for the version", client.version()).await?;
    plan.request.check_version(&version).map_err(SnapshotError::from)?;
    refuse_defects(setup, &version)?;
    let format = match SnapshotFormat::of_release(&version) {
        Some(format) => format,
        None => launched.binary.snapshot_format().await.map_err(|error| SnapshotError::Io {
            action: "ask Firecracker which snapshots it reads",
            source: std::io::Error::other(error),
        })?,
    };
    let manifest = snapshot.manifest();
    manifest.check_firecracker(&version, format).map_err(SnapshotError::from)?;
    clock.step("check version");
    outputs::describe_metrics(setup, process, &client).await?;
    if staged(staging).await? {
        clock.step("copy drives");
    }

    let attached = Attached::of(&setup.spec);
    Configure { process, client: &client, spec: &setup.spec, attached: &attached }
        .before_load()
        .await?;
    let loading = load(setup, process, &client, plan, &version);
    match &mut uffd {
        None => loading.await?,
        Some(handler) => unless_failed(handler, loading).await?,
    }
    clock.step("load");
    attempt.uffd = uffd;
    let state = if plan.request.resume { VmState::Running } else { VmState::Paused };
    let counted_from = plan.request.track_dirty_pages.then_some(manifest.id);
    let report = clock.report(launched.confinement);
    Ok(Started { client, report, state, counted_from })
}

/// Refuses to go on with a guest that a defect of this version would harm.
fn refuse_defects(setup: &VmSetup, version: &FirecrackerVersion) -> Result<(), SmartVmError> {
    let config = setup.spec.config();
    let uses = [(config.enable_pci, Use::Pci), (config.vsock.is_some(), Use::RestoreWithVsock)];
    for (_, usage) in uses.into_iter().filter(|(applies, _)| *applies) {
        let accepted = &setup.options.accepted_defects;
        KnownDefect::refuse(Program::Firecracker, version, usage, accepted)?;
    }
    Ok(())
}

/// Keeps the snapshot from being removed, and compares it with its manifest.
async fn verify(setup: &VmSetup, plan: &RestorePlan) -> Result<File, SmartVmError> {
    let (snapshot, how) = (plan.snapshot.clone(), plan.request.verify);
    let store = SmartVm::snapshots_dir(&setup.options.data_dir);
    let verify = move || -> Result<File, SnapshotError> {
        let held = SnapshotStore::open(&store)?.hold(&snapshot)?;
        snapshot.verify(how)?;
        Ok(held)
    };
    let verified = tokio::task::spawn_blocking(verify).await;
    let verified = verified.map_err(|panic| SmartVmError::Bug { what: panic.to_string() })?;
    Ok(verified?)
}

/// Makes the drives reachable under the names that the snapshot knows, and starts making the private
/// copies.
fn plan_drives(
    plan: &RestorePlan,
    disk: &DiskUse,
    work_dir: &WorkDir,
    staging: &mut Staging,
) -> std::io::Result<()> {
    let mut copies = Vec::new();
    for drive in &plan.snapshot.manifest().drives {
        if let Some(dir) = drive.path.parent().and_then(Path::to_str) {
            work_dir.make_dir(dir)?;
        }
        let file = plan.snapshot.drive_path(drive);
        match drive.content {
            DriveContent::Captured => copies.push((file, drive.path.clone())),
            DriveContent::Shared { .. } => {
                work_dir.expose(&file, &drive.path, Access::ReadOnly)?;
            }
        }
    }
    if !copies.is_empty() {
        let (work_dir, disk) = (work_dir.clone(), disk.clone());
        *staging = Some(tokio::task::spawn_blocking(move || {
            let copies = copies.iter().map(|(source, name)| (source.as_path(), name.as_path()));
            stage(&copies.collect::<Vec<_>>(), &work_dir, &disk)
        }));
    }
    Ok(())
}

/// The TAPs by name. `vmstate` has names as well, which whoever wrote it chose; where Firecracker can be
/// told others, it is told all of them.
fn overrides(
    setup: &VmSetup,
    plan: &RestorePlan,
    version: &FirecrackerVersion,
) -> Vec<NetworkOverride> {
    if *version < FirecrackerVersion::new(1, 12, 0) {
        return plan.request.network_overrides.clone();
    }
    let interfaces = setup.spec.config().network_interfaces.iter();
    let named = interfaces.filter_map(|interface| {
        let host_dev_name = interface.host_dev_name.clone()?;
        Some(NetworkOverride { iface_id: interface.iface_id.parse().ok()?, host_dev_name })
    });
    named.collect()
}

async fn load(
    setup: &VmSetup,
    process: &FirecrackerProcess,
    client: &ApiClient,
    plan: &RestorePlan,
    version: &FirecrackerVersion,
) -> Result<(), SmartVmError> {
    let request = &plan.request;
    let (backend_type, backend_path) = match request.backend {
        MemoryBackend::File => (MemoryBackendType::File, MEMORY),
        MemoryBackend::Uffd => (MemoryBackendType::Uffd, UFFD),
    };
    let backend = LoadBackend { backend_type, backend_path: backend_path.into() };
    let mut params = SnapshotLoadParams::new(VMSTATE, backend);
    params.resume_vm = Some(request.resume);
    if request.track_dirty_pages && *version >= FirecrackerVersion::new(1, 13, 0) {
        params.track_dirty_pages = Some(true);
    } else if request.track_dirty_pages {
        params.enable_diff_snapshots = Some(true);
    }
    params.network_overrides = overrides(setup, plan, version);
    params.vsock_override =
        request.vsock_override.clone().map(|uds_path| VsockOverride { uds_path });
    params.clock_realtime = request.clock_realtime.then_some(true);
    let client = client.clone().with_snapshot_deadline(LOAD_PATIENCE);
    call(process, "load the snapshot", client.load_snapshot(&params)).await
}

/// Awaits `work`, which never ends when the guest's page faults are not served.
async fn unless_failed(
    handler: &mut UffdHandler,
    work: impl Future<Output = Result<(), SmartVmError>>,
) -> Result<(), SmartVmError> {
    tokio::select! {
        biased;
        done = work => done,
        failed = handler.failed() => Err(SnapshotError::from(failed).into()),
    }
}
