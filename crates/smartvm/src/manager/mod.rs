//! Many VMs on one host.

mod images;
mod registry;
mod rootfs;
mod smart_vm;

pub(crate) use registry::Registry;
pub use smart_vm::{CleanupFailed, SmartVm};
