//! Private copies of drives, for VMs that must not change the original.

mod sparse_copy;
mod stage;

pub use stage::{
    StageDrive, StageDriveError, StagedDrive, StagingMethod, stage_drive, stage_drives,
    stage_growing_drives,
};
