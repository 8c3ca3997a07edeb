//! How much the kernel prints to the host's console.

use super::host::Host;
use super::report::{Check, Subject};

const SUBJECT: Subject = Subject { id: "console-log", title: "Kernel messages on the console" };

/// Errors and worse; what is below is printed while guests come and go.
const QUIET: u32 = 4;

pub(super) fn check(host: &Host) -> Check {
    let printk = host.value("proc/sys/kernel/printk").unwrap_or_default();
    match printk.split_ascii_whitespace().next().and_then(|level| level.parse::<u32>().ok()) {
        Some(level) if level <= QUIET => SUBJECT.pass(format!("up to level {level}")),
        Some(level) => SUBJECT
            .info(format!("up to level {level}: a slow console delays starts"))
            .remedy("run `sysctl kernel.printk=1` as root, or boot with `quiet loglevel=1`"),
        None => SUBJECT.info("not reported by the kernel"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::host::made_up;
    use super::super::report::Status;
    use super::*;

    #[test]
    fn a_talkative_kernel_is_told() {
        let check_with = |text| check(&made_up::host(&[("proc/sys/kernel/printk", text)]).host);
        assert_eq!(check_with("1\t4\t1\t7\n").status, Status::Pass);
        assert_eq!(check_with("7\t4\t1\t7\n").status, Status::Info);
        assert_eq!(check_with("").found, "not reported by the kernel");
    }
}
