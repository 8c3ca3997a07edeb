//! The directories that virtual machines live in while they exist, and who owns what in them.
//!
//! ```text
//! <runtimeDir>/            0700, ours, never writable by others
//!   .lock                  held for the moment in which a VM's directory is made or removed
//!   <vm id>/               0700
//!     lock                 held by the owner as long as it lives
//!     record.json          what exists for this VM, written before it is made
//!     firecracker.sock     the API socket
//!     kernel, initrd       what it boots, by the names that Firecracker is told
//!     drives/              private copies of drives, and links to those that are not
//! ```
//!
//! A directory whose lock is free belonged to a process that died: whoever finds it ends what the
//! record names and removes it. Nothing else is needed to recover from `kill -9`.

mod find;
mod link;
mod private_dir;
mod record;
mod runtime_dir;
mod sweep;
mod vm_dir;
mod work_dir;

pub use find::{FindVmError, FoundVm};
pub use private_dir::UnsafeDirectory;
pub(crate) use private_dir::ensure_private_dir;
pub(crate) use runtime_dir::RuntimeDir;
pub use runtime_dir::{ClaimError, RuntimeDirError};
pub use sweep::SweepReport;
pub(crate) use vm_dir::{VmDir, socket_path};
pub(crate) use work_dir::{Access, WorkDir};
