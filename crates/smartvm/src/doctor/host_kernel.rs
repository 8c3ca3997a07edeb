//! Whether Firecracker supports the host's kernel.

use super::host::Host;
use super::kernel_version::KernelVersion;
use super::report::{Check, Subject};

const SUBJECT: Subject = Subject { id: "host-kernel", title: "Host kernel" };

/// The first kernel with all that Firecracker uses.
const OLDEST: KernelVersion = KernelVersion(5, 10, 0);

/// What Firecracker's own tests run on (its `docs/kernel-policy.md`).
const TESTED: [(u32, u32); 3] = [(5, 10), (6, 1), (6, 18)];

pub(super) fn check(host: &Host) -> Check {
    let Some(version) = KernelVersion::of(host) else {
        return SUBJECT.warn("of unknown version", "use Linux 5.10 or newer");
    };
    let release = host.value("proc/sys/kernel/osrelease").unwrap_or_default();
    let KernelVersion(major, minor, _) = version;
    if version < OLDEST {
        SUBJECT.fail(
            format!("{release}, too old for Firecracker"),
            "use Linux 5.10 or newer; 5.10, 6.1 and 6.18 are what Firecracker is tested on",
        )
    } else if TESTED.contains(&(major, minor)) {
        SUBJECT.pass(release)
    } else {
        SUBJECT.warn(
            format!("{release}, on which Firecracker is not tested"),
            "prefer Linux 5.10, 6.1 or 6.18 in production",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::host::made_up;
    use super::super::report::Status;
    use super::*;

    fn status(release: &str) -> Status {
        check(&made_up::host(&[("proc/sys/kernel/osrelease", release)]).host).status
    }

    #[test]
    fn tested_untested_and_old_kernels_differ() {
        assert_eq!(status("6.1.0-56-amd64\n"), Status::Pass);
        assert_eq!(status("6.12.9\n"), Status::Warn);
        assert_eq!(status("5.4.0-100-generic\n"), Status::Fail);
        assert_eq!(status("custom\n"), Status::Warn);
    }
}
