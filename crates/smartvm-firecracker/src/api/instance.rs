//! `GET /`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What Firecracker says about itself and its VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceInfo {
    /// The program's name: `Firecracker`.
    pub app_name: String,
    /// The identifier it was started with.
    pub id: String,
    /// Whether the guest runs.
    pub state: InstanceState,
    /// Firecracker's version, without a leading `v`.
    pub vmm_version: String,
}

/// Whether the guest runs, as Firecracker sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum InstanceState {
    /// The guest was not booted yet.
    #[serde(rename = "Not started")]
    NotStarted,
    /// The guest's processors run.
    Running,
    /// The guest's processors are halted until resumed.
    Paused,
}

impl fmt::Display for InstanceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotStarted => "not started",
            Self::Running => "running",
            Self::Paused => "paused",
        })
    }
}
