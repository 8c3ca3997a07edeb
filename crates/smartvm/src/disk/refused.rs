//! Why something was not admitted.

use std::io;
use std::path::PathBuf;

use smartvm_dir::HostLockBusy;

/// The disk has no room for what was asked for. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskRefused {
    /// The budget of the data directory would be exceeded.
    #[error(
        "{what} may take {needed} bytes; of the disk budget of {budget} bytes of {}, {used} are used and \
         {promised} promised to others",
        data_dir.display()
    )]
    OverBudget {
        /// For whom it was asked.
        what: String,
        /// What it may take, when it has written all that it can.
        needed: u64,
        /// The budget.
        budget: u64,
        /// What snapshots, images, kernels and logs take now.
        used: u64,
        /// What others may take: the whole lengths of their private copies, and their logs.
        promised: u64,
        /// Whose budget it is.
        data_dir: PathBuf,
    },
    /// What is free was promised to others.
    #[error(
        "{what} may still write {needed} bytes in {}; {free} are free there, of which others may still \
         write {promised} and {reserve} stay free",
        dir.display()
    )]
    NoRoom {
        /// For whom it was asked.
        what: String,
        /// What it may write.
        needed: u64,
        /// What is free where it would.
        free: u64,
        /// What others may still write there.
        promised: u64,
        /// What is left to the rest of the host.
        reserve: u64,
        /// Where it would write.
        dir: PathBuf,
    },
    /// It is not known what is used and promised.
    #[error("cannot {action} {}", path.display())]
    Unknown {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl DiskRefused {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::OverBudget { .. } => "DISK_BUDGET_EXCEEDED",
            Self::NoRoom { .. } => "DISK_NO_ROOM",
            Self::Unknown { source, .. } if HostLockBusy::of(source).is_some() => {
                HostLockBusy::CODE
            }
            Self::Unknown { .. } => "DISK_LEDGER_FAILED",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::OverBudget { .. } => Some(
                "end VMs, or remove snapshots (`smartvm snapshot rm`) and images (`smartvm image \
                 prune`), or raise the budget (--disk-budget, `diskBudget`)"
                    .to_owned(),
            ),
            Self::NoRoom { .. } => Some(
                "end VMs, make room there, give the VM a smaller drive, or a read-only one that needs \
                 no copy"
                    .to_owned(),
            ),
            Self::Unknown { source, .. } => HostLockBusy::of(source).map(HostLockBusy::hint),
        }
    }
}
