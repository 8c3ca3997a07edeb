//! Firecracker's own log.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use smartvm_firecracker::api::LogLevel;

use super::invalid::Breaches;

/// How much Firecracker logs, and where to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggerConfig {
    /// A file that the log is also written to. Absent: the log's last lines are kept in memory, for
    /// the error that tells of a crash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_path: Option<PathBuf>,
    /// How much is logged. Default: warnings; at Info there are two lines for every call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<LogLevel>,
    /// Whether lines carry their level. Firecracker's default is no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub show_level: Option<bool>,
    /// Whether lines carry their place in Firecracker's source. Firecracker's default is no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub show_log_origin: Option<bool>,
    /// Only lines of modules that begin with this, such as `api_server::request`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
}

impl LoggerConfig {
    /// How much is logged when nothing is said: at Info, Firecracker writes two lines for every call.
    pub const DEFAULT_LEVEL: LogLevel = LogLevel::Warning;

    pub(crate) fn check(&self, breaches: &mut Breaches) {
        if let Some(path) = &self.log_path {
            breaches.require(!path.as_os_str().is_empty(), "logger.logPath", "must not be empty");
        }
        if let Some(module) = &self.module {
            breaches.require(!module.is_empty(), "logger.module", "must not be empty");
        }
    }
}
