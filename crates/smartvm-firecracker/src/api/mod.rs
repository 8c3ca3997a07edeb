//! The wire types of Firecracker's API, one resource a file.
//!
//! Names and spellings are Firecracker's own, from 1.7 up to 1.17, which is not yet released. The
//! bodies of `PUT` and `PATCH` are different types. An optional field that is `None` is left out
//! of the body, so that Firecracker's default holds, or what was.
//!
//! Which version a field needs is told by [`crate::capability`], and
//! [`ApiClient`](crate::ApiClient) refuses a request before it is sent when the running
//! Firecracker is too old for it. What a value may be is told by its type where one value decides
//! ([`DeviceId`], [`GuestCid`], [`RegisterBitmap`]…); rules between several fields are left to
//! Firecracker, which refuses with a reason.

mod action;
mod balloon;
mod balloon_hinting;
mod balloon_statistics;
mod boot_source;
mod cpu_config;
mod cpu_modifier;
mod device_id;
mod drive;
mod entropy;
mod fault;
mod full_vm_configuration;
mod guest_cid;
mod instance;
mod invalid_value;
mod kvm_capability;
mod logger;
mod mac_address;
mod machine;
mod memory_hotplug;
mod metrics;
mod mmds_address;
mod mmds_config;
mod mtu;
mod network_interface;
mod number_text;
mod pmem;
mod rate_limiter;
mod register_bitmap;
mod serial;
mod snapshot_create;
mod snapshot_load;
mod vcpu_count;
mod version;
mod vm;
mod vsock;

pub use action::{ActionType, InstanceActionInfo};
pub use balloon::{Balloon, BalloonUpdate};
pub use balloon_hinting::{BalloonHintingStatus, BalloonStartCmd};
pub use balloon_statistics::{BalloonStats, BalloonStatsUpdate};
pub use boot_source::BootSource;
pub use cpu_config::CpuConfig;
pub use cpu_modifier::{
    ArmRegisterModifier, CpuidLeafModifier, CpuidRegister, CpuidRegisterModifier, MsrModifier,
    VcpuFeatures,
};
pub use device_id::DeviceId;
pub use drive::{CacheType, Drive, IoEngine, PartialDrive};
pub use entropy::EntropyDevice;
pub use fault::Fault;
pub use full_vm_configuration::FullVmConfiguration;
pub use guest_cid::GuestCid;
pub use instance::{InstanceInfo, InstanceState};
pub use invalid_value::InvalidValue;
pub use kvm_capability::KvmCapability;
pub use logger::{LogLevel, Logger};
pub use mac_address::MacAddress;
pub use machine::{CpuTemplate, HugePages, MachineConfiguration, MachineConfigurationUpdate};
pub use memory_hotplug::{MemoryHotplugConfig, MemoryHotplugSizeUpdate, MemoryHotplugStatus};
pub use metrics::Metrics;
pub use mmds_address::MmdsAddress;
pub use mmds_config::{MmdsConfig, MmdsVersion};
pub use mtu::Mtu;
pub use network_interface::{NetworkInterface, PartialNetworkInterface};
pub use pmem::{PartialPmem, Pmem};
pub use rate_limiter::{RateLimiter, TokenBucket};
pub use register_bitmap::RegisterBitmap;
pub use serial::SerialDevice;
pub use snapshot_create::{SnapshotCreateParams, SnapshotType};
pub use snapshot_load::{
    MemoryBackend, MemoryBackendType, NetworkOverride, SnapshotHugePages, SnapshotLoadParams,
    VsockOverride,
};
pub use vcpu_count::VcpuCount;
pub use version::VersionAnswer;
pub use vm::{Vm, VmRunState};
pub use vsock::Vsock;
