//! The modules that a kernel needs inside Firecracker: finding, ordering and reading them.

mod index;
mod object;
mod pack;
mod plan;
mod scan;

pub use index::{ModuleIndex, ParseModulesError};
pub(super) use pack::{PackModulesError, PackedModules, pack_modules};
