//! Whether drives with the `Async` engine work.

use super::host::Host;
use super::kernel_version::KernelVersion;
use super::report::{Check, Subject};

const SUBJECT: Subject = Subject { id: "io-uring", title: "Asynchronous drives (io_uring)" };

/// Earlier ones lack a correction that Firecracker asks for.
const OLDEST: KernelVersion = KernelVersion(5, 10, 51);

pub(super) fn check(host: &Host) -> Check {
    if KernelVersion::of(host).is_none_or(|version| version < OLDEST) {
        return SUBJECT
            .info("this kernel is too old; drives with `ioEngine` Async do not start")
            .remedy("use Linux 5.10.51 or newer");
    }
    match host.value("proc/sys/kernel/io_uring_disabled").as_deref() {
        // Before Linux 6.6 there was no such setting.
        None | Some("0") => SUBJECT.pass("allowed"),
        Some(value) => SUBJECT
            .info(format!("restricted ({value}); drives with `ioEngine` Async may not start"))
            .remedy("run `sysctl kernel.io_uring_disabled=0` as root where they are wanted"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::host::made_up;
    use super::super::report::Status;
    use super::*;

    #[test]
    fn age_and_restriction_are_told() {
        let status = |release, more: &[(&str, &str)]| {
            let files = [&[("proc/sys/kernel/osrelease", release)], more].concat();
            check(&made_up::host(&files).host).status
        };
        assert_eq!(status("6.1.0", &[]), Status::Pass);
        assert_eq!(status("6.8.0", &[("proc/sys/kernel/io_uring_disabled", "0\n")]), Status::Pass);
        assert_eq!(status("6.8.0", &[("proc/sys/kernel/io_uring_disabled", "2\n")]), Status::Info);
        assert_eq!(status("5.10.50", &[]), Status::Info);
    }
}
