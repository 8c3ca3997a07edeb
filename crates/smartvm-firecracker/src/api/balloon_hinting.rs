//! `PATCH /balloon/hinting/start` and `GET /balloon/hinting/status`, since 1.14.

use serde::{Deserialize, Serialize};

/// How a run of free page hinting begins. After boot only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalloonStartCmd {
    /// Whether the run is acknowledged when the guest has finished; Firecracker's default is yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledge_on_stop: Option<bool>,
}

/// How far a run of free page hinting is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalloonHintingStatus {
    /// What the host said last: 0 stop, 1 done, 2 and more the number of the run.
    pub host_cmd: u32,
    /// What the guest said last; absent until it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_cmd: Option<u32>,
}
