//! What a call on the manager or on a VM can end in.

use std::io;
use std::path::PathBuf;

use smartvm_dir::UnsafeDirectory;
use smartvm_firecracker::capability::KnownBadError;
use smartvm_firecracker::{
    ApiError, FlushMetricsError, LaunchError, OpenBinaryError, OpenBoundedFileError,
    ProbeVersionError, ProcessExit, ReadyError, is_stopped,
};
use smartvm_images::base_image::BaseImageError;
use smartvm_images::{
    CloneRootfsError, CreateRootfsError, DownloadError, ReleaseError, StageDriveError,
};
use smartvm_network::policy::InvalidFirewallConfig;
use smartvm_network::wireguard::InvalidWireGuard;
use smartvm_network::{AttachError, ChangePolicyError, OpenNetworkError};

use crate::config::{InvalidConfig, ReadConfigError};
use crate::disk::DiskRefused;
use crate::error_kind::ErrorKind;
use crate::home::{ClaimError, RuntimeDirError};
use crate::image_use::UseImageError;
use crate::jail::{JailerVersionError, MakeJailError, PlanJailError};
use crate::lifecycle::{Call, InvalidState};
use crate::micro_vm::FirecrackerTooOld;
use crate::preflight::PreflightError;
use crate::snapshot::SnapshotError;
use crate::vm_id::VmId;

/// The error of every call on [`SmartVm`](crate::SmartVm) and [`MicroVm`](crate::MicroVm).
///
/// [`code`](Self::code) is stable and made for programs; the text and its chain of sources are made
/// for people, and [`hint`](Self::hint) says what they can do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SmartVmError {
    /// The configuration breaks rules.
    #[error(transparent)]
    InvalidConfig(#[from] InvalidConfig),
    /// The configuration could not be read.
    #[error(transparent)]
    ReadConfig(#[from] ReadConfigError),
    /// The host cannot carry out the configuration.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    /// The state does not allow the call.
    #[error(transparent)]
    InvalidState(#[from] InvalidState),
    /// A directory is open to others.
    #[error(transparent)]
    UnsafeDirectory(#[from] UnsafeDirectory),
    /// The runtime directory cannot be looked through.
    #[error(transparent)]
    Sweep(#[from] RuntimeDirError),
    /// A VM of this manager has the id already.
    #[error("VM {id} exists already")]
    Exists {
        /// The id.
        id: VmId,
    },
    /// The VM's directory could not be taken.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// The VM's directory could not be written.
    #[error("cannot write the directory of VM {id}")]
    RuntimeDir {
        /// The VM.
        id: VmId,
        /// What the system said.
        source: io::Error,
    },
    /// There is no Firecracker to run.
    #[error(transparent)]
    Binary(#[from] OpenBinaryError),
    /// The VM cannot be jailed here.
    #[error(transparent)]
    PlanJail(#[from] PlanJailError),
    /// The jailer is not the one of this Firecracker.
    #[error(transparent)]
    JailerVersion(#[from] JailerVersionError),
    /// The VM's jail could not be made.
    #[error("cannot make a jail for VM {id}")]
    MakeJail {
        /// The VM.
        id: VmId,
        /// What went wrong.
        source: MakeJailError,
    },
    /// The network of the manager's VMs could not be made.
    #[error(transparent)]
    Network(Box<OpenNetworkError>),
    /// The manager's option `wireguard` is wrong.
    #[error(transparent)]
    WireGuard(#[from] InvalidWireGuard),
    /// The manager's firewall breaks rules.
    #[error(transparent)]
    Firewall(#[from] InvalidFirewallConfig),
    /// A network device of the VM could not be made.
    #[error("cannot make the network device {iface} of VM {id}")]
    Attach {
        /// The VM.
        id: VmId,
        /// The device.
        iface: String,
        /// What went wrong.
        source: Box<AttachError>,
    },
    /// Where the guest may connect to could not be changed.
    #[error("cannot set the firewall of network device {iface} of VM {id}")]
    SetFirewall {
        /// The VM.
        id: VmId,
        /// The device.
        iface: String,
        /// What went wrong.
        source: Box<ChangePolicyError>,
    },
    /// Firecracker's version could not be found out.
    #[error(transparent)]
    Version(#[from] ProbeVersionError),
    /// Firecracker does not know what the configuration asks for.
    #[error(transparent)]
    TooOld(#[from] FirecrackerTooOld),
    /// This version of Firecracker has a defect that matters to what was asked for.
    #[error(transparent)]
    KnownBad(#[from] KnownBadError),
    /// Firecracker could not be started.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// Firecracker did not come up.
    #[error(transparent)]
    Ready(#[from] ReadyError),
    /// A private copy of a drive could not be made.
    #[error(transparent)]
    Drive(#[from] StageDriveError),
    /// The disk has no room for what the VM may come to take.
    #[error(transparent)]
    Disk(#[from] DiskRefused),
    /// A file made for the VM could not be given to it.
    #[error("cannot give {} to the VM", path.display())]
    Adopt {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file for console, log or metrics cannot be written.
    #[error(transparent)]
    OutputFile(#[from] OpenBoundedFileError),
    /// Firecracker's metrics could not be had.
    #[error(transparent)]
    Metrics(#[from] FlushMetricsError),
    /// The VM has no device with that id.
    #[error("the VM has no device `{id}`")]
    NoSuchDevice {
        /// The id.
        id: String,
    },
    /// The VM has a device with that id already.
    #[error("the VM has a device `{id}` already")]
    DeviceExists {
        /// The id.
        id: String,
    },
    /// Firecracker was asked before it was started, or after it ended.
    #[error("cannot call {call}: the VM's Firecracker is not running")]
    NoClient {
        /// The call.
        call: &'static str,
    },
    /// Firecracker refused a call, or did not answer it.
    #[error("cannot {call}")]
    Api {
        /// What was being done.
        call: &'static str,
        /// What came back.
        source: ApiError,
    },
    /// Firecracker did not answer a call, as its process stands still.
    #[error("cannot {call}: its Firecracker, process {pid}, is stopped")]
    Stopped {
        /// What was being done.
        call: &'static str,
        /// The process.
        pid: u32,
        /// What came of the call.
        source: Box<ApiError>,
    },
    /// Firecracker died during a call.
    #[error("cannot {during}: Firecracker {exit}")]
    Exited {
        /// What was being done.
        during: &'static str,
        /// How it ended, with its last output.
        exit: ProcessExit,
    },
    /// The call was overtaken by a kill or a cleanup.
    #[error("{call} was interrupted: the VM was ended meanwhile")]
    Interrupted {
        /// The call.
        call: Call,
    },
    /// The task that drove the VM is gone.
    #[error("VM {id} is gone: the runtime that drove it has shut down")]
    Gone {
        /// The VM.
        id: VmId,
    },
    /// Files of the VM could not be removed.
    #[error("cannot remove the files of VM {id}")]
    Cleanup {
        /// The VM.
        id: VmId,
        /// What the system said.
        source: io::Error,
    },
    /// An empty root file system was not made.
    #[error(transparent)]
    CreateRootfs(#[from] CreateRootfsError),
    /// A root file system was not copied.
    #[error(transparent)]
    CloneRootfs(#[from] CloneRootfsError),
    /// The directory for root file systems could not be made.
    #[error("cannot make `{}`", dir.display())]
    RootfsDir {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A snapshot was not made, or not restored.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A release of Firecracker could not be installed.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// A base image could not be had.
    #[error(transparent)]
    BaseImage(#[from] BaseImageError),
    /// A download could not be set up, or failed.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// An image is used by somebody else, or cannot be kept from others.
    #[error(transparent)]
    UseImage(#[from] UseImageError),
    /// Something happened that cannot; please report it.
    #[error("internal error: {what}")]
    Bug {
        /// What happened.
        what: String,
    },
}

impl From<OpenNetworkError> for SmartVmError {
    fn from(error: OpenNetworkError) -> Self {
        Self::Network(Box::new(error))
    }
}

impl SmartVmError {
    /// An API call that failed, of the Firecracker with this process id.
    pub(crate) fn of_api(call: &'static str, source: ApiError, pid: Option<u32>) -> Self {
        let is_late = matches!(source, ApiError::TimedOut { .. });
        match pid.filter(|pid| is_late && is_stopped(*pid)) {
            Some(pid) => Self::Stopped { call, pid, source: Box::new(source) },
            None => Self::Api { call, source },
        }
    }

    /// What sort of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        // A code that the table lacks fails a test.
        ErrorKind::of_code(self.code()).unwrap_or(ErrorKind::Internal)
    }

    /// The stable code, one of [`ERROR_CODES`](crate::error_codes::ERROR_CODES).
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidConfig(_) | Self::ReadConfig(_) => "INVALID_CONFIG",
            Self::Preflight(error) => error.code(),
            Self::InvalidState(_) => "INVALID_STATE",
            Self::UnsafeDirectory(_) => "UNSAFE_DIRECTORY",
            Self::Sweep(error) => error.code(),
            Self::RuntimeDir { .. } | Self::Adopt { .. } => "RUNTIME_DIR_FAILED",
            Self::Claim(error) => error.code(),
            Self::Exists { .. } => "VM_EXISTS",
            Self::Binary(error) => error.code(),
            Self::PlanJail(error) => error.code(),
            Self::JailerVersion(error) => error.code(),
            Self::MakeJail { source, .. } => source.code(),
            Self::Network(error) => error.code(),
            Self::WireGuard(error) => error.code(),
            Self::Firewall(error) => error.code(),
            Self::Attach { source, .. } => source.code(),
            Self::SetFirewall { source, .. } => source.code(),
            Self::Version(error) => error.code(),
            Self::TooOld(_) => "FIRECRACKER_TOO_OLD",
            Self::KnownBad(error) => error.code(),
            Self::Launch(error) => error.code(),
            // The same to a caller, whichever step it died in.
            Self::Ready(ReadyError::Exited { .. }) => "VMM_EXITED",
            Self::Ready(error) => error.code(),
            Self::Drive(error) => error.code(),
            Self::Disk(error) => error.code(),
            Self::OutputFile(error) => error.code(),
            Self::Metrics(error) => error.code(),
            Self::NoSuchDevice { .. } => "NO_SUCH_DEVICE",
            Self::DeviceExists { .. } => "DEVICE_EXISTS",
            Self::NoClient { .. } => "NO_CLIENT",
            Self::Api { source, .. } => source.code(),
            Self::Stopped { source, .. } => source.code(),
            Self::Exited { .. } => "VMM_EXITED",
            Self::Interrupted { .. } => "INTERRUPTED",
            Self::Gone { .. } => "VM_GONE",
            Self::Cleanup { .. } => "CLEANUP_FAILED",
            Self::Snapshot(error) => error.code(),
            Self::CreateRootfs(error) => error.code(),
            Self::CloneRootfs(error) => error.code(),
            Self::RootfsDir { .. } => "ROOTFS_CREATE_FAILED",
            Self::Release(error) => error.code(),
            Self::BaseImage(error) => error.code(),
            Self::Download(error) => error.code(),
            Self::UseImage(error) => error.code(),
            Self::Bug { .. } => "INTERNAL",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Preflight(error) => error.hint(),
            Self::UnsafeDirectory(error) => error.hint(),
            Self::Sweep(error) => error.hint(),
            Self::Claim(error) => error.hint(),
            Self::Exists { .. } => Some("choose another id, or stop the VM that has it".to_owned()),
            Self::Binary(error) => error.hint(),
            Self::PlanJail(error) => error.hint(),
            Self::JailerVersion(error) => error.hint(),
            Self::MakeJail { source, .. } => source.hint(),
            Self::Network(error) => error.hint(),
            Self::WireGuard(error) => error.hint(),
            Self::Attach { source, .. } => source.hint(),
            Self::Launch(error) => error.hint(),
            Self::Ready(error) => error.hint(),
            Self::Drive(error) => error.hint(),
            Self::Disk(error) => error.hint(),
            Self::Api { source, .. } => source.hint(),
            Self::Stopped { pid, .. } => Some(format!(
                "find out what stopped it, as a debugger does, and let it go on: `kill -CONT {pid}`"
            )),
            Self::TooOld(_) => Some(
                "name a newer Firecracker with firecrackerBinaryPath, or leave the sections out"
                    .to_owned(),
            ),
            Self::KnownBad(error) => error.hint(),
            Self::OutputFile(error) => error.hint(),
            Self::Metrics(error) => error.hint(),
            Self::Snapshot(error) => error.hint(),
            Self::CreateRootfs(error) => error.hint(),
            Self::CloneRootfs(error) => error.hint(),
            Self::Release(error) => error.hint(),
            Self::BaseImage(error) => error.hint(),
            Self::Download(error) => error.hint(),
            Self::UseImage(error) => error.hint(),
            _ => None,
        }
    }

    /// How Firecracker ended, when that is what went wrong.
    #[must_use]
    pub fn process_exit(&self) -> Option<&ProcessExit> {
        match self {
            Self::Exited { exit, .. } => Some(exit),
            Self::Ready(ReadyError::Exited { exit }) => Some(exit),
            _ => None,
        }
    }
}
