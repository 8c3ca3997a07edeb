//! How many mounts there are: each jail copies them all.

use super::host::Host;
use super::report::{Check, Subject};

const SUBJECT: Subject = Subject { id: "mounts", title: "Mounts" };

/// From here on, they make up a noticeable part of a jailed start.
const MANY: usize = 500;

pub(super) fn check(host: &Host) -> Check {
    let count = host.read("proc/self/mountinfo").map_or(0, |text| text.lines().count());
    let check = if count < MANY {
        SUBJECT.pass(format!("{count}"))
    } else {
        SUBJECT
            .info(format!("{count}, which slows jailed starts down"))
            .remedy("run SmartVM in a mount namespace of its own with fewer")
    };
    check.figure("mountCount", count as u64)
}

#[cfg(test)]
mod tests {
    use super::super::host::made_up;
    use super::super::report::Status;
    use super::*;

    #[test]
    fn many_mounts_are_told() {
        let check_with = |count: usize| {
            let text = "22 27 0:21 / /proc rw - proc proc rw\n".repeat(count);
            check(&made_up::host(&[("proc/self/mountinfo", &text)]).host)
        };
        assert_eq!(check_with(499).status, Status::Pass);
        assert_eq!(check_with(500).status, Status::Info);
        assert_eq!(check_with(3).figures["mountCount"], 3);
    }
}
