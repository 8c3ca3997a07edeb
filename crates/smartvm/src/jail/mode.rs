//! Whether VMs are jailed.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::cgroup::AppliedLimits;

/// Whether a manager jails its VMs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JailMode {
    /// Every VM is jailed when this process is root's, none otherwise: the jailer needs root. A VM's
    /// configuration can say otherwise.
    #[default]
    Auto,
    /// Only VMs whose configuration demands it are.
    Off,
    /// Every VM is, and a configuration that says otherwise is refused.
    Required,
}

/// How a VM that was started is kept apart from the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
#[non_exhaustive]
pub enum Confinement {
    /// Its Firecracker runs under the jailer.
    Jailed {
        /// The user that it is.
        uid: u32,
        /// The group that it is.
        gid: u32,
        /// What it sees as its root directory.
        root: PathBuf,
        /// Its control group, when it has one of its own.
        cgroup: Option<PathBuf>,
        /// What it may use of the host.
        limits: AppliedLimits,
    },
    /// Its Firecracker runs as the user that started it, and sees the host's files.
    NotJailed {
        /// Why.
        reason: NotJailed,
    },
}

/// Why a VM is not jailed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotJailed {
    /// The process that started it is not root's.
    NotRoot,
    /// It was said so.
    TurnedOff,
}

impl fmt::Display for NotJailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRoot => "only root can jail it",
            Self::TurnedOff => "as was asked",
        })
    }
}
