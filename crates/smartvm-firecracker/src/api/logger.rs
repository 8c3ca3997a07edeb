//! `PUT /logger`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where Firecracker's own log goes and how much of it there is. Before boot only.
///
/// [`FirecrackerProcess`](crate::FirecrackerProcess) already directs the log to itself; a `PUT`
/// of this moves it away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logger {
    /// A file or FIFO, which must exist before Firecracker 1.14.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_path: Option<PathBuf>,
    /// Every `PUT` without it resets the level to [`LogLevel::Info`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<LogLevel>,
    /// Whether lines carry their level; Firecracker's default is no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub show_level: Option<bool>,
    /// Whether lines carry their place in Firecracker's source; Firecracker's default is no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub show_log_origin: Option<bool>,
    /// Only lines of modules that begin with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
}

/// How much Firecracker logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// Failures.
    Error,
    /// And what looks wrong.
    #[serde(alias = "Warn")]
    Warning,
    /// And each API request: Firecracker's own default.
    #[default]
    Info,
    /// For its developers.
    Debug,
    /// For its developers, in full.
    Trace,
}

impl LogLevel {
    /// The level as Firecracker's `--level` spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "Off",
            Self::Error => "Error",
            Self::Warning => "Warning",
            Self::Info => "Info",
            Self::Debug => "Debug",
            Self::Trace => "Trace",
        }
    }
}
