//! The last look at the host before anything is made: do the named files exist, can Firecracker
//! use them, does the guest fit.

mod drive;
mod kernel;
mod memory;
mod tap;
mod threads;
mod vsock;

use crate::config::{DriveConfig, NetworkInterfaceConfig, PmemConfig, VmSpec};
use crate::jail::JailConfig;

pub use drive::DriveUnusable;
pub use kernel::KernelUnusable;
pub use memory::MemoryExceedsHost;
pub use tap::TapUnusable;
pub use threads::TooFewThreads;
pub(crate) use threads::check_threads;
pub use vsock::VsockPathUnusable;

/// A configuration that this host cannot carry out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreflightError {
    /// The kernel or the initial RAM disk cannot be booted.
    #[error(transparent)]
    Kernel(#[from] KernelUnusable),
    /// A drive's file cannot be a drive.
    #[error(transparent)]
    Drive(#[from] DriveUnusable),
    /// A network device has no TAP.
    #[error(transparent)]
    Tap(#[from] TapUnusable),
    /// The vsock's socket cannot be where it is wanted.
    #[error(transparent)]
    Vsock(#[from] VsockPathUnusable),
    /// The guest would be larger than the host.
    #[error(transparent)]
    Memory(#[from] MemoryExceedsHost),
    /// Its Firecracker could not have all its threads.
    #[error(transparent)]
    Threads(#[from] TooFewThreads),
}

impl PreflightError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Kernel(error) => error.code(),
            Self::Drive(_) => "DRIVE_UNUSABLE",
            Self::Tap(_) => "TAP_UNUSABLE",
            Self::Vsock(_) => "VSOCK_PATH_UNUSABLE",
            Self::Memory(_) => "MEMORY_EXCEEDS_HOST",
            Self::Threads(_) => "PROCESS_LIMIT",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Kernel(error) => error.hint(),
            Self::Drive(error) => error.hint(),
            Self::Tap(error) => Some(error.hint()),
            Self::Vsock(error) => error.hint(),
            Self::Memory(error) => Some(error.hint()),
            Self::Threads(error) => Some(error.hint()),
        }
    }
}

/// Looks at what a drive is made of; `ephemeral` is the manager's `ephemeralWritableDrives`.
pub(crate) fn check_drive(drive: &DriveConfig, ephemeral: bool) -> Result<(), PreflightError> {
    match &drive.socket {
        Some(socket) => drive::check_socket(&drive.drive_id, socket)?,
        None => drive::check(drive, ephemeral)?,
    }
    Ok(())
}

/// Looks at the file of a persistent memory device, which must be what a drive's must be.
pub(crate) fn check_pmem(device: &PmemConfig, ephemeral: bool) -> Result<(), PreflightError> {
    let as_drive = DriveConfig {
        drive_id: device.id.clone(),
        path_on_host: device.path_on_host.clone(),
        is_read_only: device.read_only,
        ephemeral: device.ephemeral,
        ..DriveConfig::default()
    };
    check_drive(&as_drive, ephemeral)
}

/// Looks for the TAP of a network device where the VM will look for it.
pub(crate) fn check_tap(
    interface: &NetworkInterfaceConfig,
    jail: &JailConfig,
) -> Result<(), PreflightError> {
    let unnamed = || TapUnusable::Unnamed { iface: interface.iface_id.clone() };
    let name = interface.host_dev_name.as_deref().ok_or_else(unnamed)?;
    match &jail.netns {
        None => tap::check(name)?,
        Some(netns) => tap::check_in(netns, name)?,
    }
    Ok(())
}

/// Looks at everything that `spec` names. Touches nothing.
pub(crate) fn check(spec: &VmSpec, ephemeral: bool) -> Result<(), PreflightError> {
    let config = spec.config();
    kernel::check(&config.boot_source.kernel_image_path)?;
    if let Some(initrd) = &config.boot_source.initrd_path {
        kernel::check_initrd(initrd)?;
    }
    for drive in &config.drives {
        check_drive(drive, ephemeral)?;
    }
    for device in &config.pmem {
        check_pmem(device, ephemeral)?;
    }
    for interface in config.network_interfaces.iter().filter(|it| !it.is_managed()) {
        check_tap(interface, &config.jail)?;
    }
    if let Some(path) = config.vsock.as_ref().and_then(|vsock| vsock.uds_path.as_ref()) {
        vsock::check(path)?;
    }
    memory::check(spec.machine.mem_size_mib)?;
    Ok(())
}
