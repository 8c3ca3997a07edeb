//! The manager.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use smartvm_dir::{GiveUp, PrivateDir};
use smartvm_images::signature::VerifyingKey;
use smartvm_network::Network;

use super::registry::Registry;
use crate::audit::AuditLog;
use crate::config::VmConfig;
use crate::home::{Gone, RuntimeDir, RuntimeDirError, SweepReport, sweep_former};
use crate::jail::{ChrootBase, JailBounds, JailPlan};
use crate::micro_vm::{MicroVm, VmSetup};
use crate::network::ManagerNetwork;
use crate::options::{SmartVmOptions, former_runtime_dir};
use crate::smart_vm_error::SmartVmError;
use crate::snapshot::{HostIdentity, RestorePlan, RestoreVm, SnapshotError, SnapshotStore, Verify};
use crate::vm_id::VmId;

/// More dead VMs than this take a moment.
const MANY: usize = 20;

/// Creates virtual machines and keeps track of them.
///
/// ```no_run
/// # async fn example() -> Result<(), smartvm::SmartVmError> {
/// use smartvm::{SmartVm, SmartVmOptions, VmConfig};
///
/// let smartvm = SmartVm::new(SmartVmOptions::default())?;
/// let vm = smartvm.create_vm(&VmConfig::from_file("vm.json".as_ref())?)?;
/// vm.start().await?;
/// vm.stop().await?;
/// smartvm.cleanup().await.ok();
/// # Ok(())
/// # }
/// ```
///
/// # Dropping
/// The VMs whose handles are all gone are ended with the manager, in the background. To be sure that
/// everything is gone before going on, await [`cleanup`](Self::cleanup).
#[derive(Debug)]
pub struct SmartVm {
    options: Arc<SmartVmOptions>,
    home: RuntimeDir,
    network: Arc<ManagerNetwork>,
    registry: Arc<Registry>,
    audit: AuditLog,
}

impl SmartVm {
    /// Takes the data and the runtime directory, making what is missing with mode 0700, and removes
    /// what dead managers left in the runtime directory.
    ///
    /// Blocks: for as long as that takes, and for up to five seconds for each lock that another process
    /// does not give back. Within a runtime use [`open`](Self::open).
    ///
    /// # Errors
    /// `UNSAFE_DIRECTORY` when one of them belongs to somebody else or can be written by others,
    /// `RUNTIME_DIR_FAILED` when it cannot be looked through; `INVALID_FIREWALL_CONFIG`,
    /// `INVALID_WIREGUARD_CONFIG` and `INVALID_INTERFACE_NAME` before anything is made.
    pub fn new(options: SmartVmOptions) -> Result<Self, SmartVmError> {
        let network = Arc::new(ManagerNetwork::new(&options)?);
        PrivateDir::ensure(&options.data_dir)?;
        let jails = JailBounds::below(options.chroot_base());
        let home = RuntimeDir::open(&options.runtime_dir, jails)?;
        let audit = AuditLog::of(&options);
        let smartvm = Self {
            audit,
            options: Arc::new(options),
            home,
            network,
            registry: Arc::new(Registry::default()),
        };
        let report = smartvm.sweep()?;
        if let Some(former) = former_runtime_dir(smartvm.home.path()) {
            sweep_former(&former, &smartvm.home);
        }
        for (id, error) in &report.failed {
            tracing::warn!(vm = %id, %error, "cannot remove what a dead manager left");
        }
        Ok(smartvm)
    }

    /// The same where nothing may block. Dropping the future gives up what is waited for; what is being
    /// removed is, or stays for the next manager.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub async fn open(options: SmartVmOptions) -> Result<Self, SmartVmError> {
        let give_up = GiveUp::default();
        let _given_up_with_this = give_up.on_drop();
        let opening = tokio::task::spawn_blocking({
            let give_up = give_up.clone();
            move || give_up.during(|| Self::new(options))
        });
        opening.await.map_err(|panic| SmartVmError::Bug { what: panic.to_string() })?
    }

    /// Describes a VM. Nothing is made on the host until it is started.
    ///
    /// Must be called within a tokio runtime: the VM's driver is a task of it.
    ///
    /// # Errors
    /// `INVALID_CONFIG` with every broken rule, `VM_EXISTS` when a VM of this manager that has not
    /// ended has the same id.
    pub fn create_vm(&self, config: &VmConfig) -> Result<MicroVm, SmartVmError> {
        self.create(config, None)
    }

    /// Describes a VM that goes on from a snapshot. Its start loads the snapshot instead of booting:
    /// first the files are compared with the manifest, then Firecracker is started and its version
    /// compared; only then it is asked to load. The VM gets private copies of the saved drives.
    ///
    /// A snapshot is code: whoever made it decides what the guest does. It does not decide how the guest
    /// is kept apart from the host, nor what it has of the host. That is `request`'s, see
    /// [`RestoreVm`].
    ///
    /// The state after the start is running, or paused when `resume` is off. A guest that is resumed
    /// more than once believes the same things each time: its random numbers, keys and addresses must
    /// be renewed inside before they count.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// `SNAPSHOT_NOT_FOUND`, `SNAPSHOT_DAMAGED`, `VM_EXISTS`; `SNAPSHOT_WRONG_ARCH`,
    /// `SNAPSHOT_WRONG_CPU` and `SNAPSHOT_IS_DIFF` when it cannot be loaded here, `SNAPSHOT_DRIVE_UNNAMED`
    /// when it was made elsewhere and shares a file of that host; with the manager's `verifyKey`
    /// `SNAPSHOT_UNSIGNED`, `SNAPSHOT_WRONG_SIGNATURE` and `KEY_UNUSABLE`. The start fails with
    /// `SNAPSHOT_TAMPERED`, `SNAPSHOT_WRONG_FORMAT`, `FIRECRACKER_TOO_OLD` or what a start fails with.
    pub fn restore_vm(&self, mut request: RestoreVm) -> Result<MicroVm, SmartVmError> {
        let store = self.snapshots()?;
        let snapshot = match &self.options.verify_key {
            None => store.get(&request.snapshot),
            Some(key) => {
                let key = VerifyingKey::read(key).map_err(SnapshotError::from)?;
                store.get_signed(&request.snapshot, &key)
            }
        };
        let snapshot = snapshot.map_err(SnapshotError::from)?;
        if self.options.verify_key.is_some() && !snapshot.is_made_here() {
            // What says that its files were hashed came with it, and is not signed.
            request.verify = Verify::Always;
        }
        let host = HostIdentity::here().map_err(|source| SnapshotError::Io {
            action: "look at this host's processor",
            source,
        })?;
        let jailed = JailPlan::is_wanted(&self.options, &request.jail);
        let images = self.options.base_image_cache();
        let plan = RestorePlan::new(request, snapshot, &host, &images)?;
        self.create(&plan.config(jailed), Some(plan))
    }

    /// The snapshots of this data directory.
    ///
    /// # Errors
    /// `UNSAFE_DIRECTORY` when others may write to it.
    pub fn snapshots(&self) -> Result<SnapshotStore, SmartVmError> {
        let dir = Self::snapshots_dir(&self.options.data_dir);
        Ok(SnapshotStore::open(&dir).map_err(SnapshotError::from)?)
    }

    /// Where the snapshots of a data directory are.
    #[must_use]
    pub fn snapshots_dir(data_dir: &Path) -> PathBuf {
        data_dir.join("snapshots")
    }

    fn create(
        &self,
        config: &VmConfig,
        restore: Option<RestorePlan>,
    ) -> Result<MicroVm, SmartVmError> {
        let spec = config.validate()?;
        let id = spec.id().clone();
        self.registry.add(&id, || {
            MicroVm::create(VmSetup {
                spec,
                options: Arc::clone(&self.options),
                home: self.home.clone(),
                network: Arc::clone(&self.network),
                registry: Arc::downgrade(&self.registry),
                audit: self.audit.clone(),
                restore,
            })
        })
    }

    /// The VM with this id, until its cleanup.
    #[must_use]
    pub fn get_vm(&self, id: &str) -> Option<MicroVm> {
        self.registry.get(&id.parse().ok()?)
    }

    /// The ids of all VMs, in order.
    #[must_use]
    pub fn list_vms(&self) -> Vec<VmId> {
        self.registry.all().iter().map(|vm| vm.id().clone()).collect()
    }

    /// How many VMs there are.
    #[must_use]
    pub fn vm_count(&self) -> usize {
        self.registry.all().len()
    }

    /// The settings of this manager.
    #[must_use]
    pub fn options(&self) -> &SmartVmOptions {
        &self.options
    }

    /// Where the VMs' directories are.
    #[must_use]
    pub fn runtime_dir(&self) -> &Path {
        self.home.path()
    }

    /// Removes what dead managers left in the runtime directory: their Firecrackers and their
    /// files. VMs of living managers are not touched.
    ///
    /// # Errors
    /// `RUNTIME_DIR_FAILED` when the directory cannot be looked through.
    pub fn sweep(&self) -> Result<SweepReport, SmartVmError> {
        let path = self.home.path().to_owned();
        let claimed = self.home.claim_dead();
        let claimed = claimed.map_err(|source| RuntimeDirError { path, source })?;
        if claimed.len() > MANY {
            tracing::info!("removing what {} dead VMs left", claimed.len());
        }
        let report = claimed.remove(&self.home, || self.sweep_networks());
        // What is left now has lost its record, as by a restart of the host.
        if self.options.chroot_base().is_dir()
            && let Err(error) = self.sweep_jails()
        {
            tracing::warn!(%error, "cannot remove what dead managers left of jails");
        }
        Ok(report)
    }

    /// Returns the interfaces that are gone.
    fn sweep_networks(&self) -> Gone {
        let swept = match Network::sweep(&self.options.network_state_dir) {
            Ok(swept) => swept,
            Err(error) => {
                tracing::warn!(%error, "cannot remove what dead managers left of networks");
                return Gone::default();
            }
        };
        for (network, tap, vm) in &swept.interfaces {
            tracing::info!(%network, %tap, vm, "removed the interface of a dead owner");
        }
        for (network, error) in &swept.failed {
            tracing::warn!(%network, %error, "cannot remove what dead managers left of a network");
        }
        swept.interfaces.into_iter().map(|(network, tap, _)| (network, tap)).collect()
    }

    fn sweep_jails(&self) -> std::io::Result<()> {
        let base = ChrootBase::open(&self.options.chroot_base()).map_err(std::io::Error::other)?;
        let removed = base.sweep()?;
        if removed > 0 {
            tracing::info!(removed, "removed jails of dead managers");
        }
        Ok(())
    }

    /// Stops every VM that runs or is paused, all at once. A failure of one does not stop the
    /// others.
    ///
    /// # Errors
    /// Every failure, each with its VM.
    pub async fn stop_all(&self) -> Result<(), CleanupFailed> {
        let live = self.registry.all().into_iter().filter(|vm| vm.state().is_live());
        collect(live.map(|vm| async move { (vm.id().clone(), vm.stop().await.map(drop)) })).await
    }

    /// Stops every VM and removes all their files, and then their network, unless others use it. A
    /// failure of one does not stop the others.
    ///
    /// # Errors
    /// Every failure, each with its VM.
    pub async fn cleanup(&self) -> Result<(), CleanupFailed> {
        let all = self.registry.all().into_iter();
        let cleaned = collect(all.map(|vm| async move {
            // A VM that cannot be stopped is ended by the cleanup.
            let _ = vm.stop().await;
            (vm.id().clone(), vm.cleanup().await)
        }))
        .await;
        let network = Arc::clone(&self.network);
        // The kernel takes a moment for a bridge. Only a panic could make it fail.
        let _ = tokio::task::spawn_blocking(move || network.close()).await;
        self.audit.flush().await;
        cleaned
    }
}

/// The VMs that could not be stopped or cleaned up.
#[derive(Debug)]
pub struct CleanupFailed {
    failures: Vec<(VmId, SmartVmError)>,
}

impl CleanupFailed {
    /// Each VM with what went wrong.
    #[must_use]
    pub fn failures(&self) -> &[(VmId, SmartVmError)] {
        &self.failures
    }
}

impl fmt::Display for CleanupFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.failures.iter().map(|(id, _)| id.as_str()).collect();
        write!(f, "cannot end {} {}", if ids.len() == 1 { "VM" } else { "VMs" }, ids.join(", "))
    }
}

/// The source is that of the first VM; [`failures`](CleanupFailed::failures) has all.
impl std::error::Error for CleanupFailed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let (_, first) = self.failures.first()?;
        Some(first)
    }
}

/// Awaits all of `calls` at once and gathers what failed.
async fn collect<F>(calls: impl Iterator<Item = F>) -> Result<(), CleanupFailed>
where
    F: Future<Output = (VmId, Result<(), SmartVmError>)> + Send + 'static,
{
    let mut tasks: tokio::task::JoinSet<_> = calls.collect();
    let mut failures = Vec::new();
    while let Some(done) = tasks.join_next().await {
        match done {
            Ok((_, Ok(()))) => {}
            Ok((id, Err(error))) => failures.push((id, error)),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(CleanupFailed { failures }) }
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::io;

    use super::*;

    #[test]
    fn a_failed_cleanup_names_the_vms_and_its_cause() {
        let failure = |id: &str| {
            let id: VmId = id.parse().unwrap();
            let source = io::Error::other("no");
            (id.clone(), SmartVmError::Cleanup { id, source })
        };
        let one = CleanupFailed { failures: vec![failure("web")] };
        assert_eq!(one.to_string(), "cannot end VM web");
        let cause = one.source().unwrap();
        assert_eq!(cause.to_string(), "cannot remove the files of VM web");
        assert_eq!(cause.source().unwrap().to_string(), "no");
        let two = CleanupFailed { failures: vec![failure("web"), failure("db")] };
        assert_eq!(two.to_string(), "cannot end VMs web, db");
    }
}
