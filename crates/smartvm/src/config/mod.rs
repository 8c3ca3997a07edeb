//! What a virtual machine is made of, as a person or a program writes it down.
//!
//! [`VmConfig`] mirrors the JSON file, camelCase keys included, and holds whatever was written.
//! [`VmConfig::validate`] turns it into a [`VmSpec`], which cannot be wrong in itself; whether the
//! files it names exist is looked at when the VM starts.

mod balloon;
mod base_image;
mod boot_source;
mod cpu_config;
pub(crate) mod device_id;
mod drive;
mod entropy;
mod invalid;
mod known_keys;
mod logger;
mod machine_config;
mod managed_interface;
mod memory_hotplug;
mod metrics;
mod mmds;
mod network_interface;
mod number;
mod pmem;
mod rate_limiter;
mod read;
mod serial;
mod spec;
mod vm_config;
mod vsock;

pub use balloon::BalloonConfig;
pub use boot_source::BootSourceConfig;
pub use cpu_config::{
    CpuConfig, CpuidLeafModifierConfig, CpuidRegisterModifierConfig, RegisterModifierConfig,
    VcpuFeaturesConfig,
};
pub use drive::DriveConfig;
pub use entropy::EntropyConfig;
pub(crate) use invalid::Breaches;
pub use invalid::{Breach, InvalidConfig};
pub use logger::LoggerConfig;
pub use machine_config::MachineConfig;
pub use memory_hotplug::MemoryHotplugConfig;
pub use metrics::MetricsConfig;
pub use mmds::MmdsConfig;
pub(crate) use mmds::fits;
pub use network_interface::NetworkInterfaceConfig;
pub use pmem::PmemConfig;
pub use rate_limiter::{RateLimiterConfig, TokenBucketConfig};
pub use read::ReadConfigError;
pub use serial::SerialConfig;
pub use spec::{DriveSpec, VmSpec};
pub use vm_config::VmConfig;
pub use vsock::VsockConfig;
