//! Whether a process of ours may serve page faults of a restored guest.

use rustix::fs::{Access, access};

use super::host::Host;
use super::report::{Check, Subject};

const SUBJECT: Subject = Subject { id: "userfaultfd", title: "Page faults served by a process" };

pub(super) fn check(host: &Host) -> Check {
    let device = host.path("dev/userfaultfd");
    let has_device = access(&device, Access::READ_OK | Access::WRITE_OK).is_ok();
    let for_all = host.value("proc/sys/vm/unprivileged_userfaultfd");
    match for_all.as_deref() {
        None if !has_device => SUBJECT.info("userfaultfd is not part of this kernel"),
        Some("1") => SUBJECT.pass("allowed to everyone"),
        _ if has_device => SUBJECT.pass("allowed through /dev/userfaultfd"),
        _ => SUBJECT
            .info("not allowed to this user; only restoring snapshots page by page needs it")
            .remedy("give the user access to /dev/userfaultfd"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::host::made_up;
    use super::super::report::Status;
    use super::*;

    #[test]
    fn the_device_or_the_setting_will_do() {
        let status = |files: &[_]| check(&made_up::host(files).host).status;
        assert_eq!(status(&[("dev/userfaultfd", "")]), Status::Pass);
        assert_eq!(status(&[("proc/sys/vm/unprivileged_userfaultfd", "1\n")]), Status::Pass);
        assert_eq!(status(&[("proc/sys/vm/unprivileged_userfaultfd", "0\n")]), Status::Info);
        assert_eq!(status(&[]), Status::Info);
    }
}
