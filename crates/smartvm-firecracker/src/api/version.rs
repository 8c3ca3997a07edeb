//! `GET /version`.

use serde::{Deserialize, Serialize};

use crate::FirecrackerVersion;

/// The answer to `GET /version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionAnswer {
    /// The version of the running Firecracker.
    pub firecracker_version: FirecrackerVersion,
}
