//! Whether guest memory can end up on a disk.

use super::host::Host;
use super::report::{Check, Subject};

const SUBJECT: Subject = Subject { id: "swap", title: "Swap" };

pub(super) fn check(host: &Host) -> Check {
    let Ok(swaps) = host.read("proc/swaps") else {
        return SUBJECT.pass("not part of this kernel");
    };
    // The first line is the heading; the first word of the others the file or device.
    let areas: Vec<&str> =
        swaps.lines().skip(1).filter_map(|line| line.split_ascii_whitespace().next()).collect();
    if areas.is_empty() {
        SUBJECT.pass("none")
    } else if areas.iter().all(|area| area.starts_with("/dev/zram")) {
        SUBJECT.info(format!("only in memory: {}", areas.join(", ")))
    } else {
        SUBJECT.warn(
            format!("on: {}; guest memory can end up on disk and be slow", areas.join(", ")),
            "run `swapoff -a` as root, or encrypt it",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::host::made_up;
    use super::super::report::Status;
    use super::*;

    fn check_with(areas: &str) -> Check {
        let swaps = format!("Filename\tType\tSize\tUsed\tPriority\n{areas}");
        check(&made_up::host(&[("proc/swaps", &swaps)]).host)
    }

    #[test]
    fn only_swap_on_disk_is_warned_of() {
        assert_eq!(check_with("").status, Status::Pass);
        assert_eq!(check_with("/dev/zram0 partition 100 0 100\n").status, Status::Info);
        assert_eq!(check_with("/swapfile file 100 0 -2\n").status, Status::Warn);
        assert!(check_with("/dev/sda2 partition 100 0 -2\n").found.contains("/dev/sda2"));
    }
}
