//! Control groups: what a VM may use of the host.
//!
//! `/sys/fs/cgroup/smartvm/<jail id>`, made and limited before anything runs in it. The jailer is put
//! into it by the process that starts it, so that no moment is unlimited.
//!
//! `defaults` are the limits that nobody asked for, `plan` decides what can be limited on this host,
//! `limits` are what the kernel is told, in a `tree` of groups, and a `mark` says whose a group is.

mod defaults;
mod limits;
mod mark;
mod plan;
mod tree;

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

pub(super) use defaults::default_limits;
pub(crate) use defaults::is_in_memory;
use limits::Limit;
pub(super) use mark::{JailMark, marked_groups};
pub use plan::AppliedLimits;
pub(super) use plan::{GroupPlan, WantedLimits};
use tree::Tree;

/// The group of all VMs.
pub(super) const PARENT: &str = "smartvm";

/// How long the processes of a group may take to be gone once they are killed.
const DYING_PATIENCE: Duration = Duration::from_secs(2);

/// How often a group is made anew whose parent another VM's end has just removed.
const ATTEMPTS: u32 = 8;

/// A VM's control group by its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cgroup {
    dir: PathBuf,
}

/// Limits that cannot be set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CgroupError {
    /// The host has no control groups of version 2.
    #[error("this host has no control groups of version 2, and limits were asked for")]
    NoVersion2,
    /// A controller is missing.
    #[error("the limits need the controllers {}, which control groups of version 2 lack here", missing.join(", "))]
    NoController {
        /// The controllers' names.
        missing: Vec<&'static str>,
    },
    /// The kernel refused a limit.
    #[error("cannot set {file} to `{value}`")]
    Limit {
        /// The file of the control group.
        file: &'static str,
        /// What was to be written.
        value: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The group cannot be made.
    #[error("cannot make control group {}", dir.display())]
    Make {
        /// Its directory.
        dir: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A block device cannot be looked at.
    #[error("cannot limit {}", device.display())]
    Device {
        /// The device.
        device: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
}

impl Cgroup {
    /// The group that a record names.
    pub(super) fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes the group with these limits.
    fn make(&self, limits: &[Limit]) -> Result<(), CgroupError> {
        let tree = Tree::find().ok_or(CgroupError::NoVersion2)?;
        let failed = |source| CgroupError::Make { dir: self.dir.clone(), source };
        let parent = tree.path().join(PARENT);
        let mut attempts = 0;
        loop {
            match tree.make(&parent, &self.dir, limits) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempts < ATTEMPTS => {
                    attempts += 1;
                }
                made => break made.map_err(failed)?,
            }
        }
        for limit in limits {
            let written = fs_err::write(self.dir.join(limit.file), &limit.value);
            match written {
                // Where there is no swap there is nothing to limit.
                Err(error) if limit.optional && error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => {
                    let value = limit.value.clone();
                    return Err(CgroupError::Limit { file: limit.file, value, source });
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Lets what is in the group use so much more memory, if it is limited.
    pub(super) fn allow_memory(&self, bytes: u64) -> io::Result<()> {
        let file = self.dir.join("memory.max");
        let text = match fs_err::read_to_string(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            text => text?,
        };
        // "max" is no number, and no limit.
        let Ok(now) = text.trim().parse::<u64>() else { return Ok(()) };
        fs_err::write(&file, now.saturating_add(bytes).to_string())
    }

    /// How many processes were killed for asking for more memory than the group may have.
    pub(crate) fn oom_kills(&self) -> u64 {
        let events = fs_err::read_to_string(self.dir.join("memory.events")).unwrap_or_default();
        let count = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    }

    /// Ends what is in the group and removes it; to be gone already is success.
    pub(super) fn remove(&self) -> io::Result<()> {
        match self.end_all().and_then(|()| fs_err::remove_dir(&self.dir)) {
            Err(error) if is_gone(&error) => {}
            removed => removed?,
        }
        if let Some(parent) = self.dir.parent().filter(|parent| parent.ends_with(PARENT)) {
            // It stays while there are other VMs.
            let _ = fs_err::remove_dir(parent);
        }
        Ok(())
    }

    fn end_all(&self) -> io::Result<()> {
        let mut events = fs_err::File::open(self.dir.join("cgroup.events"))?;
        if !is_populated(&mut events)? {
            return Ok(());
        }
        fs_err::write(self.dir.join("cgroup.kill"), "1")?;
        let patience = Timespec::try_from(DYING_PATIENCE).map_err(io::Error::other)?;
        while is_populated(&mut events)? {
            let mut fds = [PollFd::from_borrowed_fd(events.file().as_fd(), PollFlags::PRI)];
            if poll(&mut fds, Some(&patience))? == 0 {
                return Err(io::ErrorKind::ResourceBusy.into());
            }
        }
        Ok(())
    }
}

impl CgroupError {
    /// A stable name of the kind of failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoVersion2 | Self::NoController { .. } => "CGROUP_UNAVAILABLE",
            Self::Limit { .. } | Self::Make { .. } | Self::Device { .. } => "CGROUP_FAILED",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoVersion2 | Self::NoController { .. } => Some(
                "boot with `systemd.unified_cgroup_hierarchy=1`, or leave the limits out".to_owned(),
            ),
            Self::Make { source, .. } if source.kind() == io::ErrorKind::ResourceBusy => Some(
                "processes are in the topmost control group, as in a container: move them into one \
                 of their own"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

/// Whether a group went in the middle of what was done to it.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(Errno::NODEV.raw_os_error())
}

fn is_populated(events: &mut fs_err::File) -> io::Result<bool> {
    use std::io::{Read, Seek};
    let mut text = String::new();
    events.rewind()?;
    events.read_to_string(&mut text)?;
    Ok(text.lines().any(|line| line == "populated 1"))
}
