//! `PUT /metrics`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where Firecracker writes its counters every minute and when asked. Once, before boot only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// A file or FIFO, which must exist before Firecracker 1.14.
    pub metrics_path: PathBuf,
    /// Whether each line carries the instance's id; Firecracker's default is no. Since 1.17.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emit_id: Option<bool>,
    /// What else each line carries. Since 1.17.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<BTreeMap<String, String>>,
}

impl Metrics {
    /// The counters go to this file or FIFO.
    #[must_use]
    pub fn to(metrics_path: impl Into<PathBuf>) -> Self {
        Self { metrics_path: metrics_path.into(), emit_id: None, properties: None }
    }
}
