//! The wire types of Firecracker's API, one resource a file.
//!
//! Names and spellings are Firecracker's own. An optional field that is `None` is left out of the
//! body, so that Firecracker's default holds; Firecracker refuses fields it does not know, so a
//! field newer than the oldest supported version must stay `None` on an older one.

mod action;
mod boot_source;
mod drive;
mod instance;
mod logger;
mod machine;
mod rate_limiter;
mod version;
mod vm;

pub use action::{ActionType, InstanceActionInfo};
pub use boot_source::BootSource;
pub use drive::{CacheType, Drive, IoEngine};
pub use instance::{InstanceInfo, InstanceState};
pub use logger::{LogLevel, Logger};
pub use machine::{CpuTemplate, HugePages, MachineConfiguration};
pub use rate_limiter::{RateLimiter, TokenBucket};
pub use version::VersionAnswer;
pub use vm::{Vm, VmRunState};
