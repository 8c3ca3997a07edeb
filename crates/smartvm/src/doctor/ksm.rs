//! Whether the kernel merges equal pages of different guests.

use super::host::Host;
use super::report::{Check, Subject};

const SUBJECT: Subject = Subject { id: "ksm", title: "Kernel same-page merging" };

pub(super) fn check(host: &Host) -> Check {
    match host.value("sys/kernel/mm/ksm/run").as_deref() {
        None => SUBJECT.pass("not part of this kernel"),
        Some("0" | "2") => SUBJECT.pass("off"),
        Some(_) => SUBJECT.warn(
            "on: a guest can tell from timing what is in another's memory",
            "run `echo 0 > /sys/kernel/mm/ksm/run` as root",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::host::made_up;
    use super::super::report::Status;
    use super::*;

    #[test]
    fn merging_is_warned_of() {
        let status = |files: &[_]| check(&made_up::host(files).host).status;
        assert_eq!(status(&[]), Status::Pass);
        assert_eq!(status(&[("sys/kernel/mm/ksm/run", "0\n")]), Status::Pass);
        assert_eq!(status(&[("sys/kernel/mm/ksm/run", "1\n")]), Status::Warn);
    }
}
