//! How many files this process may have open.

use rustix::process::{Resource, getrlimit};

use super::report::{Check, Subject};

const SUBJECT: Subject = Subject { id: "open-files", title: "Open files allowed (RLIMIT_NOFILE)" };

/// What the jailer allows one Firecracker.
const ENOUGH: u64 = 2048;

pub(super) fn check() -> Check {
    let limit = getrlimit(Resource::Nofile);
    // No limit at all is how the kernel says "as many as you like".
    judge(limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX))
}

fn judge(soft: u64, hard: u64) -> Check {
    let check = if soft >= ENOUGH {
        SUBJECT.pass(format!("{soft}"))
    } else {
        SUBJECT.warn(
            format!("{soft}: too few for many machines at a time"),
            format!("run `ulimit -n {}`, or set LimitNOFILE= of the service", ENOUGH.max(hard)),
        )
    };
    check.figure("softCount", soft).figure("hardCount", hard)
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;

    #[test]
    fn the_soft_limit_decides() {
        assert_eq!(judge(2048, 4096).status, Status::Pass);
        let check = judge(1024, 524_288);
        assert_eq!((check.status, check.figures["hardCount"]), (Status::Warn, 524_288));
    }
}
