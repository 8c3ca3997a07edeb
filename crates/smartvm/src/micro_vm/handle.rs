//! What callers hold of a VM.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use smartvm_firecracker::api::InstanceInfo;
use smartvm_firecracker::{
    ApiClient, ApiError, Console, FirecrackerLog, FirecrackerVersion, Metrics,
};
use tokio::sync::{mpsc, oneshot, watch};

use super::driver::Driver;
use super::report::{StartReport, StopReport, VmEnd};
use super::request::{Reply, Request};
use super::update::Update;
use crate::audit::{Asker, AuditLog, AuditedRequest};
use crate::config::VmSpec;
use crate::home::{RuntimeDir, WorkDir};
use crate::lifecycle::{Call, VmState};
use crate::manager::Registry;
use crate::network::ManagerNetwork;
use crate::options::SmartVmOptions;
use crate::smart_vm_error::SmartVmError;
use crate::snapshot::{CreateSnapshot, RestorePlan, Snapshot};
use crate::vm_id::VmId;

/// One virtual machine.
///
/// A cheap handle: clones mean the same VM. Its life:
///
/// ```text
/// created ── start ──▶ configuring ──▶ running ◀── pause / resume ──▶ paused
///                           │             │                             │
///                           │             ├──── stop, kill, guest's end ┴──▶ stopped
///                           └─ failure ───┴──── crash ─────────────────────▶ error
/// ```
///
/// # Dropping and cancellation
/// When the last handle goes (the manager holds one until [`cleanup`](Self::cleanup)), the VM is
/// ended at once and its files are removed, in the background. When the future of a call is
/// dropped, the call goes on: the driver finishes what it began. When the owning process dies,
/// `kill -9` included, the kernel ends Firecracker with it, and the next manager on the same runtime
/// directory removes the files.
#[derive(Debug, Clone)]
pub struct MicroVm {
    setup: Arc<VmSetup>,
    requests: mpsc::Sender<Request>,
    published: Published,
    /// Who asks through this handle, if it is not this process.
    asker: Option<Asker>,
}

/// What a VM is made from; shared by handle and driver.
#[derive(Debug)]
pub(crate) struct VmSetup {
    pub(crate) spec: VmSpec,
    pub(crate) options: Arc<SmartVmOptions>,
    pub(crate) home: RuntimeDir,
    pub(crate) network: Arc<ManagerNetwork>,
    /// Weak: the registry holds handles, and a driver that held it would keep itself alive.
    pub(crate) registry: Weak<Registry>,
    /// What the VM goes on from, when it does not boot.
    pub(crate) restore: Option<RestorePlan>,
    /// Where it is written down who asked for what.
    pub(crate) audit: AuditLog,
}

/// What the driver lets handles see.
#[derive(Debug, Clone)]
pub(super) struct Published {
    pub(super) state: watch::Receiver<VmState>,
    pub(super) end: watch::Receiver<Option<VmEnd>>,
    /// Tells when the VM's directory was made again.
    pub(super) restored: watch::Receiver<()>,
    pub(super) running: Arc<Mutex<Running>>,
}

/// What exists only once Firecracker does.
#[derive(Debug, Default)]
pub(super) struct Running {
    pub(super) client: Option<Arc<ApiClient>>,
    pub(super) console: Option<Console>,
    pub(super) log: Option<FirecrackerLog>,
    pub(super) metrics: Option<Metrics>,
    pub(super) process_id: Option<u32>,
    pub(super) guest: Option<GuestSocket>,
}

/// The way to the guest of a VM with a vsock.
#[derive(Debug, Clone)]
pub(crate) struct GuestSocket {
    pub(crate) work_dir: WorkDir,
    /// Who listens on the socket in it.
    pub(crate) firecracker: u32,
    /// How often the guest has rung.
    pub(crate) rings: watch::Receiver<u64>,
}

impl MicroVm {
    /// Describes a VM and starts its driver; nothing is made on the host.
    pub(crate) fn create(setup: VmSetup) -> Self {
        let setup = Arc::new(setup);
        // A queue of 16: callers wait for their answer, so it only fills with abandoned requests.
        let (requests, queue) = mpsc::channel(16);
        let (driver, published) = Driver::new(Arc::clone(&setup), queue);
        tokio::spawn(driver.run());
        Self { setup, requests, published, asker: None }
    }

    /// A handle for what somebody else asks for.
    pub(crate) fn on_behalf_of(&self, asker: Asker) -> Self {
        Self { asker: Some(asker), ..self.clone() }
    }

    /// The VM's id.
    #[must_use]
    pub fn id(&self) -> &VmId {
        self.setup.spec.id()
    }

    /// What the VM is made of.
    #[must_use]
    pub fn spec(&self) -> &VmSpec {
        &self.setup.spec
    }

    /// The VM's directory, which exists from the start of [`start`](Self::start) to
    /// [`cleanup`](Self::cleanup).
    #[must_use]
    pub fn runtime_dir(&self) -> PathBuf {
        self.setup.home.vm_path(self.id())
    }

    /// The state at this moment.
    #[must_use]
    pub fn state(&self) -> VmState {
        *self.published.state.borrow()
    }

    /// Follows the state. The last value stays when the VM is gone.
    #[must_use]
    pub fn watch_state(&self) -> watch::Receiver<VmState> {
        self.published.state.clone()
    }

    /// Tells when somebody had removed the VM's directory, and it was made again without what others have in it.
    pub(crate) fn watch_restored(&self) -> watch::Receiver<()> {
        self.published.restored.clone()
    }

    /// Makes everything that the VM needs, starts Firecracker and boots the guest.
    ///
    /// # Errors
    /// Whatever went wrong first; everything that was made is undone, the caller's files are as
    /// they were, and the state is [`VmState::Error`]. `INVALID_STATE` unless the VM is created.
    pub async fn start(&self) -> Result<StartReport, SmartVmError> {
        self.ask(Request::Start).await
    }

    /// Makes the guest stand still, its memory kept.
    ///
    /// # Errors
    /// `INVALID_STATE` unless it runs, `API_REFUSED` when Firecracker will not, `VMM_EXITED` when it
    /// died.
    pub async fn pause(&self) -> Result<(), SmartVmError> {
        self.ask(Request::Pause).await
    }

    /// Lets a paused guest go on.
    ///
    /// # Errors
    /// `INVALID_STATE` unless it is paused, else as [`pause`](Self::pause).
    pub async fn resume(&self) -> Result<(), SmartVmError> {
        self.ask(Request::Resume).await
    }

    /// Saves the guest as it is at one moment: memory, devices, and the drives that it can write to.
    ///
    /// The guest stands still meanwhile, and runs again afterwards if it did before, also when
    /// something failed, unless `keep_paused` is set. When the drives are copied and it runs again, the
    /// files are hashed; then the snapshot appears in the store, `<dataDir>/snapshots`. A kill or a
    /// cleanup while the guest stands still interrupts it, and a stop after five seconds.
    ///
    /// # Errors
    /// `INVALID_STATE` unless the VM runs or is paused; `SNAPSHOT_EXISTS`, `SNAPSHOT_NO_SPACE`,
    /// `SNAPSHOT_WRONG_BASE` and the like, see [`SnapshotError`](crate::snapshot::SnapshotError).
    /// Nothing of the snapshot is left then.
    pub async fn create_snapshot(
        &self,
        snapshot: CreateSnapshot,
    ) -> Result<Snapshot, SmartVmError> {
        self.ask(|reply| Request::Save { snapshot, reply }).await
    }

    /// Ends the VM: Ctrl-Alt-Del to the guest and ten seconds for it to shut down, then SIGTERM to
    /// Firecracker and five seconds, then SIGKILL. A paused guest is resumed first. The files stay
    /// until [`cleanup`](Self::cleanup). A VM that has ended already is left as it is.
    ///
    /// # Errors
    /// `INVALID_STATE` before the VM runs.
    pub async fn stop(&self) -> Result<StopReport, SmartVmError> {
        self.stop_within(Duration::from_secs(10)).await
    }

    /// As [`stop`](Self::stop), with another time for the guest to shut down by itself. Zero sends
    /// no Ctrl-Alt-Del at all.
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub async fn stop_within(&self, patience: Duration) -> Result<StopReport, SmartVmError> {
        self.ask(|reply| Request::Stop { patience, reply }).await
    }

    /// Ends the VM at once, also in the middle of a start or a stop.
    ///
    /// # Errors
    /// `VM_GONE` when the runtime that drove the VM is shutting down.
    pub async fn kill(&self) -> Result<(), SmartVmError> {
        self.ask(Request::Kill).await
    }

    /// Ends the VM at once if it lives, removes its files and forgets it. Safe to repeat.
    ///
    /// # Errors
    /// `CLEANUP_FAILED` when something could not be removed, also of a start that failed. It can be called
    /// again then; else the next manager tries it.
    pub async fn cleanup(&self) -> Result<(), SmartVmError> {
        self.ask(Request::Cleanup).await
    }

    /// Waits until the VM has ended, for whatever cause, and says how. Returns `None` when the
    /// driver went without an end: the VM was cleaned up before it was started.
    ///
    /// A guest that powers off counts as ended two seconds after its last word on the console, and its kernel's
    /// panic is told as such ([`EndCause`](super::EndCause)): both are seen on the console that
    /// Firecracker has, and not by a guest whose kernel writes elsewhere (`console=`, `serial`).
    pub async fn wait(&self) -> Option<VmEnd> {
        let mut end = self.published.end.clone();
        match end.wait_for(Option::is_some).await {
            Ok(end) => end.clone(),
            Err(_) => None,
        }
    }

    /// The guest's serial console.
    ///
    /// # Errors
    /// `NO_CLIENT` before Firecracker was started.
    pub fn console(&self) -> Result<Console, SmartVmError> {
        let console = self.running(|running| running.console.clone());
        console.ok_or(SmartVmError::NoClient { call: "console" })
    }

    /// The process id of the VM's Firecracker.
    ///
    /// # Errors
    /// `NO_CLIENT` before Firecracker was started and after it ended.
    pub fn process_id(&self) -> Result<u32, SmartVmError> {
        let id = self.running(|running| running.process_id);
        id.ok_or(SmartVmError::NoClient { call: "process_id" })
    }

    /// What Firecracker says of itself.
    ///
    /// # Errors
    /// `NO_CLIENT` before a start and after the end, `SOCKET_REQUEST_FAILED` when it does not answer.
    pub async fn info(&self) -> Result<InstanceInfo, SmartVmError> {
        self.ask_firecracker("info", |client| async move { client.instance_info().await }).await
    }

    /// The version of the running Firecracker.
    ///
    /// # Errors
    /// As [`info`](Self::info).
    pub async fn version(&self) -> Result<FirecrackerVersion, SmartVmError> {
        self.ask_firecracker("version", |client| async move { client.version().await }).await
    }

    /// The API socket of the VM's Firecracker.
    #[must_use]
    pub fn socket_path(&self) -> PathBuf {
        crate::home::socket_path(&self.runtime_dir())
    }

    /// The way to the guest, while it runs and when it has a vsock.
    pub(crate) fn guest_socket(&self) -> Option<GuestSocket> {
        self.running(|running| running.guest.clone())
    }

    /// Whether the VM will never run again.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state(), VmState::Stopped | VmState::Error)
    }

    /// Whether this is a handle of the VM with that set-up.
    pub(crate) fn has_setup(&self, setup: &Arc<VmSetup>) -> bool {
        Arc::ptr_eq(&self.setup, setup)
    }

    /// The manager's options.
    pub(super) fn options(&self) -> &SmartVmOptions {
        &self.setup.options
    }

    /// Whether writable drives are private copies when their configuration says nothing.
    pub(super) fn stages(&self) -> bool {
        self.setup.options.ephemeral_writable_drives
    }

    /// Has the driver change something about a started VM.
    pub(super) async fn update(&self, update: Update) -> Result<(), SmartVmError> {
        self.ask(|reply| Request::Update { update: Box::new(update), reply }).await
    }

    /// Asks Firecracker something that changes nothing.
    pub(super) async fn ask_firecracker<T, F>(
        &self,
        call: &'static str,
        ask: impl FnOnce(Arc<ApiClient>) -> F,
    ) -> Result<T, SmartVmError>
    where
        F: Future<Output = Result<T, ApiError>>,
    {
        let answer = ask(self.client(call)?).await;
        answer.map_err(|source| SmartVmError::of_api(call, source, self.process_id().ok()))
    }

    pub(super) fn client(&self, call: &'static str) -> Result<Arc<ApiClient>, SmartVmError> {
        let client = self.running(|running| running.client.clone());
        client.ok_or(SmartVmError::NoClient { call })
    }

    pub(super) fn running<T>(&self, look: impl FnOnce(&Running) -> T) -> T {
        // A panic elsewhere cannot leave these options half-written.
        look(&self.published.running.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, SmartVmError> {
        let gone = || SmartVmError::Gone { id: self.id().clone() };
        let (reply, answer) = oneshot::channel();
        let request = request(reply);
        let audited = self.audited(request.call(), request.detail());
        let asked = async {
            self.requests.send(request).await.map_err(|_| gone())?;
            answer.await.map_err(|_| gone())?
        };
        let answer = asked.await;
        audited.done(answer.as_ref().err().map(SmartVmError::code));
        answer
    }

    /// Writes down that a connection to a port of the guest is asked for.
    pub(crate) fn audited_connection(&self, port: u32) -> AuditedRequest {
        let port = port.to_string();
        self.setup.audit.asked_by(self.asker, self.id().as_str(), "connect-guest", Some(&port))
    }

    /// Writes down that something is asked for.
    pub(super) fn audited(&self, call: Call, detail: Option<&str>) -> AuditedRequest {
        let restored = self.setup.restore.as_ref().filter(|_| call == Call::Start);
        let (action, detail) = match restored {
            Some(plan) => ("restore".to_owned(), Some(plan.request.snapshot.as_str())),
            None => (call.name(), detail),
        };
        self.setup.audit.asked_by(self.asker, self.id().as_str(), &action, detail)
    }
}
