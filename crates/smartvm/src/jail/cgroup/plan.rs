//! What of a VM's limits can be set on this host.

use std::path::Path;

use serde::Serialize;

use super::limits::limits;
use super::tree::Tree;
use super::{Cgroup, CgroupError, PARENT};
use crate::jail::config::CgroupConfig;

/// What a VM is to be limited to.
#[derive(Debug, Clone, Default)]
pub(in crate::jail) struct WantedLimits {
    /// What was asked for: set, or the start fails.
    pub(in crate::jail) asked: CgroupConfig,
    /// What it gets where nothing else was asked for and the host can do it.
    pub(in crate::jail) defaults: CgroupConfig,
}

/// The limits of a jailed VM.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AppliedLimits {
    /// Those in force, asked for or not.
    pub in_force: CgroupConfig,
    /// What is not limited though it would be by default: `cpu`, `io`, `memory`, `pids`.
    pub missing: Vec<&'static str>,
    /// Why.
    pub reason: Option<String>,
}

/// A control group that is to be made, or the reason why there will be none.
#[derive(Debug)]
pub(in crate::jail) struct GroupPlan {
    group: Option<Cgroup>,
    asked: CgroupConfig,
    /// Those that there is a controller for, and no wish.
    defaults: CgroupConfig,
    missing: Vec<&'static str>,
    reason: Option<String>,
}

impl GroupPlan {
    /// Looks at the host.
    ///
    /// # Errors
    /// When it cannot do what was asked for.
    pub(in crate::jail) fn new(wanted: &WantedLimits, id: &str) -> Result<Self, CgroupError> {
        Self::on(Tree::find().as_ref(), wanted, id)
    }

    fn on(tree: Option<&Tree>, wanted: &WantedLimits, id: &str) -> Result<Self, CgroupError> {
        let asked = wanted.asked.clone();
        let demanded = limits(&asked)?;
        let wishes = limits(&wanted.defaults)?;
        let Some(tree) = tree else {
            if !demanded.is_empty() {
                return Err(CgroupError::NoVersion2);
            }
            let mut missing: Vec<_> = wishes.iter().map(|limit| limit.controller).collect();
            missing.sort_unstable();
            missing.dedup();
            let reason = Some("this host has no control groups of version 2".to_owned());
            let defaults = CgroupConfig::default();
            return Ok(Self { group: None, asked, defaults, missing, reason });
        };
        let missing = tree.missing(&demanded);
        if !missing.is_empty() {
            return Err(CgroupError::NoController { missing });
        }
        let missing = tree.missing(&wishes);
        let defaults = wanted.defaults.only(|controller| !missing.contains(&controller));
        let reason = (!missing.is_empty())
            .then(|| "control groups of version 2 lack these controllers here".to_owned());
        let is_needed = !asked.is_empty() || !defaults.is_empty();
        let group = is_needed.then(|| Cgroup { dir: tree.path().join(PARENT).join(id) });
        Ok(Self { group, asked, defaults, missing, reason })
    }

    /// Where the group will be.
    pub(in crate::jail) fn dir(&self) -> Option<&Path> {
        self.group.as_ref().map(Cgroup::dir)
    }

    /// Makes the group, if there is to be one, and tells what is in force.
    ///
    /// # Errors
    /// When what was asked for cannot be set.
    pub(in crate::jail) fn make(self) -> Result<(Option<Cgroup>, AppliedLimits), CgroupError> {
        let Self { group, asked, defaults, mut missing, mut reason } = self;
        let Some(group) = group else {
            return Ok((None, AppliedLimits { missing, reason, ..AppliedLimits::default() }));
        };
        let wishes = asked.or(&defaults);
        let Err(error) = group.make(&limits(&wishes)?) else {
            return Ok((Some(group), AppliedLimits { in_force: wishes, missing, reason }));
        };
        // What nobody asked for fails no start: in a container nothing may be allowed of this.
        let given_up = limits(&defaults)?;
        missing.extend(given_up.iter().map(|limit| limit.controller));
        missing.sort_unstable();
        missing.dedup();
        reason.get_or_insert_with(|| told(&error));
        let _ = group.remove();
        if asked.is_empty() {
            return Ok((None, AppliedLimits { missing, reason, ..AppliedLimits::default() }));
        }
        group.make(&limits(&asked)?)?;
        Ok((Some(group), AppliedLimits { in_force: asked, missing, reason }))
    }
}

fn told(error: &CgroupError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(asked: CgroupConfig) -> WantedLimits {
        let defaults = CgroupConfig {
            cpu_max_percent: Some(200),
            cpu_weight: Some(100),
            memory_max_mib: Some(256),
            pids_max: Some(17),
            io_weight: Some(100),
            ..CgroupConfig::default()
        };
        WantedLimits { asked, defaults }
    }

    /// A directory that looks like the topmost group, with these controllers.
    fn tree(controllers: &str) -> (tempfile::TempDir, Tree) {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("cgroup.controllers"), controllers).unwrap();
        fs_err::write(dir.path().join("cgroup.subtree_control"), controllers).unwrap();
        let tree = Tree::at(dir.path());
        (dir, tree)
    }

    #[test]
    fn without_version_2_a_start_goes_on_and_says_what_is_not_limited() {
        let plan = GroupPlan::on(None, &wanted(CgroupConfig::default()), "a").unwrap();
        let (group, applied) = plan.make().unwrap();
        assert_eq!(group, None);
        assert!(applied.in_force.is_empty());
        assert_eq!(applied.missing, ["cpu", "io", "memory", "pids"]);
        assert!(applied.reason.unwrap().contains("no control groups of version 2"));
    }

    #[test]
    fn without_version_2_what_was_asked_for_fails_the_start() {
        let asked = CgroupConfig { pids_max: Some(9), ..CgroupConfig::default() };
        let error = GroupPlan::on(None, &wanted(asked), "a").unwrap_err();
        assert_eq!(error.code(), "CGROUP_UNAVAILABLE");
    }

    #[test]
    fn a_controller_that_is_missing_costs_its_own_limits_only() {
        let (_dir, tree) = tree("memory pids hugetlb\n");
        let plan = GroupPlan::on(Some(&tree), &wanted(CgroupConfig::default()), "a").unwrap();
        assert_eq!(plan.missing, ["cpu", "io"]);
        assert_eq!(plan.defaults.cpu_max_percent, None);
        assert_eq!(plan.defaults.memory_max_mib, Some(256));
        assert!(plan.dir().unwrap().ends_with("smartvm/a"));
        let asked = CgroupConfig { cpu_max_percent: Some(50), ..CgroupConfig::default() };
        let error = GroupPlan::on(Some(&tree), &wanted(asked), "a").unwrap_err();
        assert_eq!(error.code(), "CGROUP_UNAVAILABLE");
    }

    #[test]
    fn without_any_controller_there_is_no_group() {
        let (_dir, tree) = tree("hugetlb\n");
        let plan = GroupPlan::on(Some(&tree), &wanted(CgroupConfig::default()), "a").unwrap();
        assert_eq!(plan.dir(), None);
    }

    #[test]
    fn what_was_asked_for_wins_over_what_a_vm_gets_anyway() {
        let asked = CgroupConfig { pids_max: Some(9), ..CgroupConfig::default() };
        let both = asked.or(&wanted(CgroupConfig::default()).defaults);
        assert_eq!((both.pids_max, both.cpu_max_percent), (Some(9), Some(200)));
    }
}
