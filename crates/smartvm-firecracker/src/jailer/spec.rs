//! What a jail is like.

use std::path::PathBuf;

use super::JailerBinary;
use crate::FirecrackerBinary;

/// How to start Firecracker under its jailer.
#[derive(Debug, Clone)]
pub struct JailSpec {
    /// The jailer.
    pub jailer: JailerBinary,
    /// The jail's name, which is Firecracker's `--id` as well: 1 to 64 letters, digits and `-`.
    pub id: String,
    /// The user that Firecracker becomes. It should be nobody else.
    pub uid: u32,
    /// The group that Firecracker becomes.
    pub gid: u32,
    /// The directory of all jails. Nobody but us may be able to write to it.
    pub chroot_base: PathBuf,
    /// The network namespace that Firecracker joins; the host's when `None`.
    pub netns: Option<PathBuf>,
    /// What Firecracker may use of the host.
    pub limits: ResourceLimits,
    /// The directory of a control group (version 2) that the jailer is put into before it starts;
    /// it stays in the one of this process when `None`.
    pub cgroup: Option<PathBuf>,
    /// Files of the host that are mounted in the jail, for as long as its process lives.
    pub binds: Vec<BindMount>,
}

impl JailSpec {
    /// The jail's directory, which must exist, with `root` in it and nothing else.
    #[must_use]
    pub fn dir(&self, firecracker: &FirecrackerBinary) -> PathBuf {
        // The jailer decides so.
        let program = firecracker.path().file_name().unwrap_or_default();
        self.chroot_base.join(program).join(&self.id)
    }

    /// What Firecracker sees as its root directory, and runs in.
    #[must_use]
    pub fn root(&self, firecracker: &FirecrackerBinary) -> PathBuf {
        self.dir(firecracker).join("root")
    }
}

/// Limits of a process, as `setrlimit` takes them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResourceLimits {
    /// The size in bytes up to which it can make files grow; no limit when `None`.
    pub fsize: Option<u64>,
    /// How many files it can have open; the jailer's own 2048 when `None`.
    pub no_file: Option<u64>,
}

/// A file of the host that appears in a jail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindMount {
    /// The file on the host.
    pub source: PathBuf,
    /// Where it appears: a file that exists, by its path on the host.
    pub target: PathBuf,
    /// Whether it can only be read there.
    pub read_only: bool,
}
