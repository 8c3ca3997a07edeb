//! What a virtual machine is made of, as a person or a program writes it down.
//!
//! [`VmConfig`] mirrors the JSON file, camelCase keys included, and holds whatever was written.
//! [`VmConfig::validate`] turns it into a [`VmSpec`], which cannot be wrong in itself; whether the
//! files it names exist is looked at when the VM starts.

mod boot_source;
mod drive;
mod invalid;
mod machine_config;
mod rate_limiter;
mod read;
mod spec;
mod vm_config;

pub use boot_source::BootSourceConfig;
pub use drive::DriveConfig;
pub(crate) use invalid::Breaches;
pub use invalid::{Breach, InvalidConfig};
pub use machine_config::MachineConfig;
pub use rate_limiter::{RateLimiterConfig, TokenBucketConfig};
pub use read::ReadConfigError;
pub use spec::{DriveSpec, VmSpec};
pub use vm_config::VmConfig;
