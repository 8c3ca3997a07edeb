//! `PATCH /vm`.

use serde::{Deserialize, Serialize};

/// The body of `PATCH /vm`. After boot only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vm {
    /// What the VM shall be.
    pub state: VmRunState,
}

/// Whether the guest's processors run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum VmRunState {
    /// Halted; the process and its memory stay.
    Paused,
    /// Running again.
    Resumed,
}
