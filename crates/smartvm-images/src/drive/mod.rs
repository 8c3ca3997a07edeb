//! Private copies of drives, for VMs that must not change the original.

mod sparse_copy;
mod stage;

pub use stage::{StageDriveError, StagedDrive, StagingMethod, stage_drive};
