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
//!   .dead/                 directories of VMs that have ended, while they are removed
//!   .damaged/              directories of dead VMs whose record cannot be read
//! ```
//!
//! A directory whose lock is free and whose record names a process that is gone belonged to a process
//! that died: whoever finds it ends what the record names and removes it. Nothing else is needed to
//! recover from `kill -9`. A record is believed within bounds: it speaks for processes that work in this
//! very directory, for jails below the directory of jails, and for links that lead into the VM.

mod dead;
mod find;
mod former;
mod link;
mod private_socket;
mod put_right;
mod record;
mod runtime_dir;
mod sweep;
mod vm_dir;
mod work_dir;

pub(crate) use dead::Gone;
pub use find::{FindVmError, FoundVm};
pub(crate) use former::sweep_former;
pub(crate) use private_socket::listen_privately;
pub(crate) use runtime_dir::RuntimeDir;
pub use runtime_dir::{ClaimError, RuntimeDirError};
pub use sweep::SweepReport;
pub(crate) use vm_dir::{VmDir, socket_path};
pub(crate) use work_dir::{Access, WorkDir};
