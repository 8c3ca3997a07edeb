//! `PUT /actions`.

use serde::{Deserialize, Serialize};

/// What the VM is to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActionType {
    /// Boot the guest. Once, before boot only.
    InstanceStart,
    /// Press Ctrl-Alt-Del on the guest's keyboard. After boot, x86_64 only.
    SendCtrlAltDel,
    /// Write the metrics to their file now. After boot only.
    FlushMetrics,
}

/// The body of `PUT /actions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceActionInfo {
    /// What to do.
    pub action_type: ActionType,
}
