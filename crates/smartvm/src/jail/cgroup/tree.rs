//! Where control groups of version 2 are on this host.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::limits::Limit;

/// The topmost group.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    path: PathBuf,
}

impl Tree {
    pub(super) fn find() -> Option<Self> {
        let mounts = fs_err::read_to_string("/proc/self/mountinfo").ok()?;
        Some(Self { path: mounted(&mounts)?.into() })
    }

    /// One that a test made up.
    #[cfg(test)]
    pub(super) fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The controllers that the limits need and that are not there.
    pub(super) fn missing(&self, limits: &[Limit]) -> Vec<&'static str> {
        let text = fs_err::read_to_string(self.path.join("cgroup.controllers"));
        let text = text.unwrap_or_default();
        let there: BTreeSet<&str> = text.split_ascii_whitespace().collect();
        let needed = controllers(limits).into_iter();
        needed.filter(|controller| !there.contains(controller)).collect()
    }

    /// Makes the group `dir` in `parent`, which is made as well, with controllers for the limits.
    pub(super) fn make(&self, parent: &Path, dir: &Path, limits: &[Limit]) -> io::Result<()> {
        match fs_err::create_dir(parent) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
        for group in [&self.path, parent] {
            enable(group, limits)?;
        }
        fs_err::create_dir(dir)
    }
}

/// Lets the groups in `group` have the controllers.
fn enable(group: &Path, limits: &[Limit]) -> io::Result<()> {
    let file = group.join("cgroup.subtree_control");
    let text = fs_err::read_to_string(&file)?;
    let enabled: BTreeSet<&str> = text.split_ascii_whitespace().collect();
    for controller in controllers(limits).difference(&enabled) {
        fs_err::write(&file, format!("+{controller}"))?;
    }
    Ok(())
}

fn controllers(limits: &[Limit]) -> BTreeSet<&'static str> {
    limits.iter().map(|limit| limit.controller).collect()
}

/// The first place where version 2 is mounted, from `/proc/self/mountinfo`.
fn mounted(mounts: &str) -> Option<&str> {
    mounts.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        file_system.starts_with("cgroup2 ").then(|| mount.split(' ').nth(4))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_2_is_found_beside_version_1() {
        let mounts = "\
30 23 0:26 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
31 23 0:27 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw
";
        assert_eq!(mounted(mounts), Some("/sys/fs/cgroup/unified"));
        assert_eq!(mounted("30 23 0:26 / /x rw - cgroup cgroup rw,pids\n"), None);
    }
}
