//! The last look at the host before anything is made: do the named files exist, can Firecracker
//! use them, does the guest fit.

mod drive;
mod kernel;
mod memory;

use crate::config::VmSpec;

pub use drive::DriveUnusable;
pub use kernel::KernelUnusable;
pub use memory::MemoryExceedsHost;

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
    /// The guest would be larger than the host.
    #[error(transparent)]
    Memory(#[from] MemoryExceedsHost),
}

impl PreflightError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Kernel(error) => error.code(),
            Self::Drive(_) => "DRIVE_UNUSABLE",
            Self::Memory(_) => "MEMORY_EXCEEDS_HOST",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Kernel(error) => error.hint(),
            Self::Drive(error) => error.hint(),
            Self::Memory(error) => Some(error.hint()),
        }
    }
}

/// Looks at everything that `spec` names. Touches nothing.
pub(crate) fn check(spec: &VmSpec, ephemeral: bool) -> Result<(), PreflightError> {
    kernel::check(&spec.boot_source.kernel_image_path)?;
    if let Some(initrd) = &spec.boot_source.initrd_path {
        kernel::check_initrd(initrd)?;
    }
    for drive in &spec.drives {
        drive::check(drive.config(), ephemeral)?;
    }
    memory::check(spec.machine.mem_size_mib)?;
    Ok(())
}
