//! Directories that nobody but us can put files into, and what is reached through them.
//!
//! * `walk` opens a directory component by component, and proves on the way that only root and we can
//!   change what its name leads to,
//! * `private_dir` keeps the descriptor of such a directory: all that is below it is reached through it,
//! * `file_at` is a file in a directory that is open,
//! * `entries` and `remove` list what is in one, and empty it whoever filled it,
//! * `lock` holds the locks of several processes, with a deadline, `give_up` ends such a wait before it, and
//!   `holder` says who has them,
//! * `process_identity` is a process as a record in such a directory names it.

mod entries;
mod file_at;
mod give_up;
mod holder;
mod lock;
mod private_dir;
mod process_identity;
mod remove;
mod unsafe_directory;
mod walk;

pub use entries::Entry;
pub use file_at::FileAt;
pub use give_up::{GiveUp, GiveUpOnDrop};
pub use lock::{HeldLock, HostLockBusy, LockState};
pub use private_dir::PrivateDir;
pub use process_identity::{ProcessIdentity, is_stopped};
pub use unsafe_directory::UnsafeDirectory;
pub use walk::{Place, Trust};
