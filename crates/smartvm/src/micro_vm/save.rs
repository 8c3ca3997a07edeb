//! Saving a guest as it is at one moment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use smartvm_dir::FileAt;
use smartvm_firecracker::api::{SnapshotCreateParams, SnapshotType, VmRunState};
use smartvm_firecracker::capability::{KnownDefect, Program, Use};
use smartvm_firecracker::{ApiClient, ApiError, FirecrackerProcess, SnapshotFormat};
use smartvm_images::{StageDrive, StageDriveError, stage_drives};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::call::call;
use super::device_files::DeviceFiles;
use super::handle::VmSetup;
use crate::disk::DiskLedger;
use crate::home::{Access, WorkDir};
use crate::jail::{Jail, is_in_memory};
use crate::lifecycle::VmState;
use crate::manager::SmartVm;
use crate::smart_vm_error::SmartVmError;
use crate::snapshot::{
    Circumstances, CreateSnapshot, CreateSnapshotError, Draft, DriveContent, FileDigest,
    HostIdentity, Prepared, SavedDrive, SnapshotError, SnapshotKind, SnapshotManifest,
    SnapshotParent, now_ms, prepare,
};

/// The files that Firecracker fills, in the work directory.
const VMSTATE: &str = "save.vmstate";
const MEMORY: &str = "save.memory";

/// How much memory a guest has at most below the hole that x86_64 leaves for devices; KVM holds what is
/// above it in a slot of its own.
const ONE_SLOT_MIB: u64 = 3 << 10;

/// The least that a disk is expected to write in a second.
const SLOWEST_DISK: u64 = 16 << 20;

/// A guest that can be saved.
pub(super) struct Subject<'a> {
    pub(super) setup: &'a VmSetup,
    pub(super) process: &'a FirecrackerProcess,
    pub(super) client: &'a ApiClient,
    pub(super) work_dir: WorkDir,
    pub(super) jail: Option<&'a Jail>,
    pub(super) files: &'a DeviceFiles,
    pub(super) state: VmState,
    pub(super) counted_from: Option<Uuid>,
}

/// What the making of a snapshot has made so far. It lives outside of the future that makes it.
#[derive(Debug, Default)]
pub(super) struct Capture {
    draft: Option<Draft>,
    pub(super) progress: Progress,
}

/// How far it has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    copying: Option<JoinHandle<Result<(), StageDriveError>>>,
    /// Whether Firecracker was asked to save, and counts changes from now on.
    pub(super) asked: bool,
    /// Whether the guest stands still because of us.
    pub(super) paused: bool,
}

impl Capture {
    /// The directory of a snapshot that is whole but for its manifest.
    pub(super) fn take_draft(&mut self) -> Option<Draft> {
        self.draft.take()
    }

    /// Removes everything.
    pub(super) async fn undo(self) {
        if let Some(copying) = self.progress.copying {
            // A copy cannot be interrupted; it must be over before its directory goes.
            let _ = copying.await;
        }
        drop(self.draft);
    }
}

impl Subject<'_> {
    /// Saves the guest and lets it run again if it did. The manifest still lacks its digests.
    pub(super) async fn save(
        &self,
        request: &CreateSnapshot,
        capture: &mut Capture,
    ) -> Result<SnapshotManifest, SmartVmError> {
        let prepared = self.prepare(request).await?;
        let Capture { draft, progress } = capture;
        let draft = &*draft.insert(prepared.draft);
        let parent = prepared.parent;
        let patience = self.patience();
        let client = self.client.clone().with_deadline(patience).with_snapshot_deadline(patience);
        self.allow_memory(draft);
        self.expose(draft)?;

        let saved = if self.state == VmState::Running {
            progress.paused = true;
            let paused = client.set_vm_state(VmRunState::Paused);
            match call(self.process, "pause the guest", paused).await {
                Ok(()) => self.capture(&client, draft, parent.is_some(), progress).await,
                Err(error) => Err(error),
            }
        } else {
            self.capture(&client, draft, parent.is_some(), progress).await
        };
        // Before anything else, and whatever has happened.
        let resumed = if progress.paused && (saved.is_err() || !request.keep_paused) {
            let resumed = client.set_vm_state(VmRunState::Resumed);
            let resumed = call(self.process, "let the guest run again", resumed).await;
            progress.paused = resumed.is_err();
            resumed
        } else {
            Ok(())
        };
        self.withdraw();
        let drives = saved?;
        resumed?;
        self.manifest(draft, parent, drives).await
    }

    /// What Firecracker writes into memory counts as its own, for as long as the file is there.
    fn allow_memory(&self, draft: &Draft) {
        let Some(jail) = self.jail else { return };
        let hotplug = self.setup.spec.config().memory_hotplug.as_ref();
        let mib = self.setup.spec.machine.mem_size_mib + hotplug.map_or(0, |it| it.total_size_mib);
        if !is_in_memory(draft.path()) {
            return;
        }
        if let Err(error) = jail.allow_memory(mib << 20) {
            tracing::warn!(vm = %self.setup.spec.id(), %error, "the limit of memory stays as it is");
        }
    }

    /// Checks what can be checked while the guest runs.
    async fn prepare(&self, request: &CreateSnapshot) -> Result<Prepared, SmartVmError> {
        self.refuse_defects(request)?;
        let machine = &self.setup.spec.machine;
        let vm = Circumstances {
            vm_id: self.setup.spec.id().clone(),
            memory_size: machine.mem_size_mib << 20,
            tracks_dirty_pages: machine.track_dirty_pages == Some(true),
            counted_from: self.counted_from,
        };
        let drives = self.drives().await?;
        let captured = drives.iter().filter(|(it, _)| it.content == DriveContent::Captured);
        let captured: Vec<_> = captured.map(|(_, file)| file.clone()).collect();
        let store = SmartVm::snapshots_dir(&self.setup.options.data_dir);
        let (request, ledger) = (request.clone(), DiskLedger::from(&*self.setup.options));
        let prepared =
            tokio::task::spawn_blocking(move || prepare(&request, &store, ledger, &vm, &captured));
        let prepared = prepared.await;
        let prepared = prepared.map_err(|panic| SmartVmError::Bug { what: panic.to_string() })?;
        Ok(prepared.map_err(SnapshotError::from)?)
    }

    /// Refuses a difference that this version of Firecracker would write wrongly.
    fn refuse_defects(&self, request: &CreateSnapshot) -> Result<(), SmartVmError> {
        let config = self.setup.spec.config();
        let memory = self.setup.spec.machine.mem_size_mib;
        let many_slots = memory > ONE_SLOT_MIB || config.memory_hotplug.is_some();
        let version = self.client.known_version().filter(|_| many_slots && request.base.is_some());
        let Some(version) = version else { return Ok(()) };
        let (usage, accepted) =
            (Use::DiffSnapshotOfManySlots, &self.setup.options.accepted_defects);
        Ok(KnownDefect::refuse(Program::Firecracker, version, usage, accepted)?)
    }

    /// What happens while the guest stands still.
    async fn capture(
        &self,
        client: &ApiClient,
        draft: &Draft,
        differential: bool,
        progress: &mut Progress,
    ) -> Result<Vec<SavedDrive>, SmartVmError> {
        // Asked for again: nobody can change a drive any more.
        let drives = self.drives().await?;
        progress.asked = true;
        let params = SnapshotCreateParams {
            mem_file_path: MEMORY.into(),
            snapshot_path: VMSTATE.into(),
            snapshot_type: differential.then_some(SnapshotType::Diff),
        };
        call(self.process, "save the guest", client.create_snapshot(&params)).await.map_err(
            |error| match error {
                SmartVmError::Api { source, .. } if is_out_of_space(&source) => full(draft),
                error => error,
            },
        )?;

        let captured = drives.iter().filter(|(it, _)| it.content == DriveContent::Captured);
        let copies: Vec<_> = captured
            .map(|(drive, file)| StageDrive {
                source: file.clone(),
                target: draft.drive_path(drive).into(),
            })
            .collect();
        if !copies.is_empty() {
            let copying = progress
                .copying
                .insert(tokio::task::spawn_blocking(move || stage_drives(&copies).map(drop)));
            let copied = copying.await;
            progress.copying = None;
            let copied = copied.map_err(|panic| SmartVmError::Bug { what: panic.to_string() })?;
            copied.map_err(|error| SnapshotError::from(CreateSnapshotError::from(error)))?;
        }
        Ok(drives.into_iter().map(|(drive, _)| drive).collect())
    }

    /// What becomes of each drive at this moment, and the file that its content is in. By our own
    /// records: a Firecracker that a guest has taken over would name any file of the host.
    async fn drives(&self) -> Result<Vec<(SavedDrive, FileAt)>, SmartVmError> {
        let config = self.client.get_vm_config();
        self.files.save(&call(self.process, "ask for the drives", config).await?)
    }

    async fn manifest(
        &self,
        draft: &Draft,
        parent: Option<SnapshotParent>,
        drives: Vec<SavedDrive>,
    ) -> Result<SnapshotManifest, SmartVmError> {
        let version = call(self.process, "ask for the version", self.client.version()).await?;
        let failed = |action| move |source| SnapshotError::Io { action, source };
        let format = match SnapshotFormat::of_release(&version) {
            Some(format) => format,
            None => self
                .process
                .binary()
                .snapshot_format()
                .await
                .map_err(std::io::Error::other)
                .map_err(failed("ask Firecracker which snapshots it writes"))?,
        };
        let host = HostIdentity::here().map_err(failed("look at this host's processor"))?;
        let memory_size = self.written(draft).map_err(|source| {
            let action = "take what Firecracker wrote";
            SnapshotError::from(CreateSnapshotError::Io { action, source })
        })?;
        let kind = if parent.is_some() { SnapshotKind::Diff } else { SnapshotKind::Full };
        Ok(SnapshotManifest {
            schema_version: SnapshotManifest::SCHEMA_VERSION,
            id: Uuid::new_v4(),
            name: draft.name().clone(),
            kind,
            parent,
            created_at_ms: now_ms(),
            vm_id: self.setup.spec.id().clone(),
            firecracker_version: version,
            snapshot_format: format,
            architecture: host.architecture,
            host_kernel: host.kernel,
            cpu: host.cpu,
            config: self.setup.spec.config().clone(),
            memory_size,
            vmstate: FileDigest::unknown(),
            memory: FileDigest::unknown(),
            drives,
        })
    }

    /// Takes the two files back from Firecracker, and returns the size of the memory. They are what it was
    /// lent, whatever it says that it has written; what cannot be of this guest gets no name.
    fn written(&self, draft: &Draft) -> std::io::Result<u64> {
        draft.take_back()?;
        let nonsense = |what: String| std::io::Error::new(std::io::ErrorKind::InvalidData, what);
        let size = |path: PathBuf| fs_err::metadata(path).map(|found| found.len());
        let (vmstate, memory) = (size(draft.vmstate())?, size(draft.memory())?);
        if !(1..=SnapshotManifest::MAX_VMSTATE).contains(&vmstate) {
            return Err(nonsense(format!("a state of {vmstate} bytes")));
        }
        let least = self.setup.spec.machine.mem_size_mib << 20;
        // More than was configured when memory was plugged in meanwhile.
        let plugged =
            self.setup.spec.memory_hotplug.as_ref().map_or(0, |it| it.total_size_mib << 20);
        if !(least..=least.saturating_add(plugged)).contains(&memory) {
            return Err(nonsense(format!("{memory} bytes of memory of a guest that has {least}")));
        }
        Ok(memory)
    }

    fn expose(&self, draft: &Draft) -> Result<(), SmartVmError> {
        // What an interrupted one left.
        self.withdraw();
        for (file, name) in [(draft.vmstate(), VMSTATE), (draft.memory(), MEMORY)] {
            self.work_dir.expose(&file, Path::new(name), Access::ReadWrite).map_err(|source| {
                SnapshotError::Io { action: "let Firecracker write the snapshot's files", source }
            })?;
        }
        Ok(())
    }

    /// Takes the names of the snapshot's files away again.
    fn withdraw(&self) {
        for name in [VMSTATE, MEMORY] {
            // They go with the VM at the latest.
            let _ = self.work_dir.withdraw(Path::new(name));
        }
    }

    /// A bound for one call, as long as the memory may take to be written.
    fn patience(&self) -> Duration {
        let memory = self.setup.spec.machine.mem_size_mib << 20;
        Duration::from_secs(60 + memory / SLOWEST_DISK)
    }
}

/// Firecracker tells the system's error in its message only.
fn is_out_of_space(error: &ApiError) -> bool {
    let ApiError::Refused { fault_message, .. } = error else { return false };
    // ENOSPC and EDQUOT, as Rust prints them.
    ["os error 28)", "os error 122)"].iter().any(|error| fault_message.contains(error))
}

fn full(draft: &Draft) -> SmartVmError {
    let dir = draft.path().parent().unwrap_or_else(|| draft.path()).to_owned();
    SnapshotError::from(CreateSnapshotError::Full { dir }).into()
}
