//! Firecracker microVMs: secure by default, quick to the millisecond, leaving nothing behind.
//!
//! [`SmartVm`] creates virtual machines from a [`VmConfig`]; a [`MicroVm`] starts, pauses, resumes,
//! stops and cleans up one of them. Nothing here prints, reads the environment or exits; the
//! `smartvm` command does that.
//!
//! Errors carry a stable code ([`SmartVmError::code`]), their source, and a hint where a person can
//! act.

pub mod audit;
mod config;
pub mod control;
mod disk;
pub mod doctor;
pub mod error_codes;
mod error_kind;
mod home;
mod image_use;
mod jail;
mod lifecycle;
mod manager;
mod micro_vm;
mod network;
mod options;
mod preflight;
mod smart_vm_error;
pub mod snapshot;
mod vm_id;
mod vsock;

pub use config::{
    BalloonConfig, BootSourceConfig, Breach, CpuConfig, CpuidLeafModifierConfig,
    CpuidRegisterModifierConfig, DriveConfig, DriveSpec, EntropyConfig, InvalidConfig,
    LoggerConfig, MachineConfig, MemoryHotplugConfig, MetricsConfig, MmdsConfig,
    NetworkInterfaceConfig, PmemConfig, RateLimiterConfig, ReadConfigError, RegisterModifierConfig,
    SerialConfig, TokenBucketConfig, VcpuFeaturesConfig, VmConfig, VmSpec, VsockConfig,
};
pub use disk::{DiskLedger, DiskRefused, DiskState};
pub use error_kind::ErrorKind;
pub use home::{ClaimError, FindVmError, FoundVm, RuntimeDirError, SweepReport};
pub use image_use::UseImageError;
pub use jail::{
    AppliedLimits, CgroupConfig, CgroupError, ChrootBaseError, Confinement, IoLimit, JailConfig,
    JailMode, JailerVersionError, MakeJailError, NoRoomForJail, NotJailed, PlanJailError,
    ResourceLimitsConfig, TooFewOpenFiles, UidRange, UidRangeError,
};
pub use lifecycle::{Call, InvalidState, LiveCall, VmState};
pub use manager::{CleanupFailed, SmartVm};
pub use micro_vm::{
    DriveUpdate, EndCause, FirecrackerTooOld, MicroVm, NetworkInterfaceUpdate, StartReport,
    StopReport, VmEnd,
};
pub use options::SmartVmOptions;
pub use preflight::{
    DriveUnusable, KernelUnusable, MemoryExceedsHost, PreflightError, TapUnusable, TooFewThreads,
    VsockPathUnusable,
};
pub use smart_vm_error::SmartVmError;
pub use smartvm_dir::UnsafeDirectory;
pub use smartvm_firecracker as firecracker;
pub use smartvm_guest as guest;
pub use smartvm_images as images;
pub use smartvm_network as networking;
pub use vm_id::{InvalidVmId, VmId};
pub use vsock::ConnectGuestError;

/// The examples of the README, so that they compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
