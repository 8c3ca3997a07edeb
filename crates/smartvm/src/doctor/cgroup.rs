//! Whether guests can be limited through cgroup v2.

use super::host::Host;
use super::report::{Check, Subject};

const SUBJECT: Subject = Subject { id: "cgroup", title: "Control groups" };

/// The controllers that limits of virtual machines are made of.
const WANTED: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];

pub(super) fn check(host: &Host) -> Check {
    let Some(controllers) = host.value("sys/fs/cgroup/cgroup.controllers") else {
        return SUBJECT.warn(
            "version 2 is not mounted at /sys/fs/cgroup: restored guests start slowly, and nothing \
             limits what jailed ones use of the host",
            "boot with `systemd.unified_cgroup_hierarchy=1`, or mount cgroup2 there",
        );
    };
    let missing: Vec<&str> = WANTED
        .into_iter()
        .filter(|wanted| !controllers.split_ascii_whitespace().any(|name| name == *wanted))
        .collect();
    if missing.is_empty() {
        SUBJECT.pass(format!(
            "version 2 with {}: jailed guests are limited to what their machines need",
            WANTED.join(", ")
        ))
    } else {
        SUBJECT.warn(
            format!(
                "version 2 without {}: that is not limited, unless it was asked for, and then the \
                 start fails",
                missing.join(", ")
            ),
            "use a kernel that has them, and free them from version 1 hierarchies",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::host::made_up;
    use super::super::report::Status;
    use super::*;

    #[test]
    fn all_controllers_are_needed() {
        let check_with =
            |text| check(&made_up::host(&[("sys/fs/cgroup/cgroup.controllers", text)]).host);
        assert_eq!(check_with("cpuset cpu io memory hugetlb pids\n").status, Status::Pass);
        let check = check_with("cpuset cpu pids\n");
        assert_eq!(check.status, Status::Warn);
        assert!(check.found.starts_with("version 2 without io, memory: "), "{}", check.found);
    }

    #[test]
    fn version_1_is_warned_of() {
        assert_eq!(check(&made_up::host(&[]).host).status, Status::Warn);
    }
}
