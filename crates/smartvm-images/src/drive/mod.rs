//! Private copies of drives, for VMs that must not change the original.

mod sparse_copy;
mod stage;

pub use stage::{
    GrowingDrives, Growth, StageDrive, StageDriveError, StagedDrive, StagingMethod,
    begin_growing_drives, stage_drive, stage_drives,
};
