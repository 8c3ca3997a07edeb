//! Firecracker's counters.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::invalid::Breaches;

/// What becomes of Firecracker's counters, which it writes every 60 seconds and on request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricsConfig {
    /// A file that the counters are also written to, one JSON object a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_path: Option<PathBuf>,
    /// Whether each line carries the VM's id. Since Firecracker 1.17.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emit_id: Option<bool>,
    /// Names and values that each line carries. Since Firecracker 1.17.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
}

impl MetricsConfig {
    pub(crate) fn check(&self, breaches: &mut Breaches) {
        if let Some(path) = &self.metrics_path {
            breaches.require(
                !path.as_os_str().is_empty(),
                "metrics.metricsPath",
                "must not be empty",
            );
        }
    }
}
