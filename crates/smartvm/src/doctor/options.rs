//! What to examine.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use smartvm_network::{InterfaceName, NetworkOptions};

use crate::{DiskLedger, SmartVmOptions, UidRange};

/// What an examination is told about this installation.
#[derive(Debug, Clone)]
pub struct DoctorOptions {
    /// Where kernels, drives and releases of Firecracker are kept; need not exist.
    pub data_dir: PathBuf,
    /// Where sockets and files of running machines are kept; need not exist.
    pub runtime_dir: PathBuf,
    /// The Firecracker program to use. Without it the newest below the data directory is
    /// examined, or the first that `path_var` leads to.
    pub firecracker: Option<PathBuf>,
    /// The value of the environment variable `PATH`; without it, `PATH` is not searched.
    pub path_var: Option<OsString>,
    /// Where jails are made; need not exist.
    pub chroot_base: PathBuf,
    /// The users that jailed machines are.
    pub uid_range: UidRange,
    /// Where it is written down what networks exist; need not exist.
    pub network_dir: PathBuf,
    /// The bridge of the network that is made when one is needed.
    pub bridge: InterfaceName,
    /// The disk of the data directory, with its budget.
    pub disk: DiskLedger,
    /// How long the guest that measures KVM's speed may run: [`DoctorOptions::PROBE_BUDGET`]
    /// unless told otherwise. Most need a tenth of a second.
    pub probe_budget: Duration,
}

impl DoctorOptions {
    /// The usual limit on the guest that measures KVM's speed.
    pub const PROBE_BUDGET: Duration = Duration::from_secs(1);

    /// Examines these directories, and Firecracker only if it is below `data_dir`.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>, runtime_dir: impl Into<PathBuf>) -> Self {
        let data_dir = data_dir.into();
        Self {
            chroot_base: data_dir.join("jail"),
            uid_range: UidRange::default(),
            disk: DiskLedger::new(&data_dir, None),
            data_dir,
            runtime_dir: runtime_dir.into(),
            firecracker: None,
            path_var: None,
            network_dir: NetworkOptions::STATE_DIR.into(),
            bridge: InterfaceName::default_bridge(),
            probe_budget: Self::PROBE_BUDGET,
        }
    }
}

/// What a manager with these options would use.
impl From<&SmartVmOptions> for DoctorOptions {
    fn from(options: &SmartVmOptions) -> Self {
        Self {
            firecracker: options.firecracker_binary_path.clone(),
            path_var: options.path_var.clone(),
            chroot_base: options.chroot_base(),
            uid_range: options.uid_range,
            network_dir: options.network_state_dir.clone(),
            bridge: options.bridge_name.clone(),
            disk: DiskLedger::from(options),
            ..Self::new(&options.data_dir, &options.runtime_dir)
        }
    }
}

/// What a manager with default options would use.
impl Default for DoctorOptions {
    fn default() -> Self {
        Self::from(&SmartVmOptions::default())
    }
}
