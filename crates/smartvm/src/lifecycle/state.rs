//! The states of a VM.

use std::fmt;

use serde::Serialize;

/// Where a VM is in its life. See the table in the [`MicroVm`](crate::MicroVm) documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VmState {
    /// Described, and nothing made for it.
    Created,
    /// Being started.
    Configuring,
    /// The guest runs.
    Running,
    /// The guest stands still, its memory kept.
    Paused,
    /// The guest and its Firecracker are gone.
    Stopped,
    /// The start failed, and all of it was undone.
    Error,
}

impl VmState {
    /// Every state, in the order of life.
    pub const ALL: [Self; 6] =
        [Self::Created, Self::Configuring, Self::Running, Self::Paused, Self::Stopped, Self::Error];

    /// Whether a Firecracker may exist for the VM.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Configuring | Self::Running | Self::Paused)
    }
}

impl fmt::Display for VmState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Configuring => "configuring",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Error => "error",
        })
    }
}
