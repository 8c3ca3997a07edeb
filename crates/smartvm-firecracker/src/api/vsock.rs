//! `PUT /vsock`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::GuestCid;

/// The device on which guest and host talk without a network. Before boot only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vsock {
    /// The guest's address; all guests of a host may have the same.
    pub guest_cid: GuestCid,
    /// The socket that Firecracker makes when the request is made and never removes, at most 107
    /// bytes long; it must not be there.
    pub uds_path: PathBuf,
    /// Deprecated by Firecracker, without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vsock_id: Option<String>,
}

impl Vsock {
    /// A vsock on this socket.
    #[must_use]
    pub fn new(guest_cid: GuestCid, uds_path: impl Into<PathBuf>) -> Self {
        Self { guest_cid, uds_path: uds_path.into(), vsock_id: None }
    }
}
