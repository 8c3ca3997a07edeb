//! What all the VMs, snapshots and images of one data directory may take of its disk.
//!
//! ```text
//! <dataDir>/.disk/
//!   .lock           held for the moment in which something is admitted
//!   <uuid>          what a VM, or a snapshot that is being made, may still write; its lock is held by the
//!                   owner for as long as that lives
//! ```
//!
//! * `usage` measures what is there,
//! * `ledger` holds what was promised, and admits what still fits beside it,
//! * `promise` is what one owner was promised,
//! * `refused` says with figures why something was not admitted.
//!
//! A promise is given under the lock, with all others in view: of two that do not fit together, the second is
//! refused, whichever processes they are in. It ends with its owner, by its lock: nothing has to be tidied up
//! after `kill -9` before the room counts again.

mod ledger;
mod promise;
mod refused;
mod usage;

pub use ledger::{DiskLedger, DiskState};
pub(crate) use promise::{DiskUse, Growing};
pub use refused::DiskRefused;
