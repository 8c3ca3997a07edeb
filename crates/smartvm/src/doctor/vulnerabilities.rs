//! Weaknesses of the processor that the kernel does not make up for.

use super::host::Host;
use super::report::{Check, Subject};

const SUBJECT: Subject = Subject { id: "cpu-vulnerabilities", title: "Processor vulnerabilities" };

const DIRECTORY: &str = "sys/devices/system/cpu/vulnerabilities";

pub(super) fn check(host: &Host) -> Check {
    let names = host.names(DIRECTORY);
    if names.is_empty() {
        return SUBJECT.info("not reported by the kernel");
    }
    // With a capital letter: "SMT vulnerable" is a remark on a mitigation.
    let open: Vec<String> = names
        .iter()
        .filter(|name| {
            host.value(&format!("{DIRECTORY}/{name}")).is_some_and(|s| s.contains("Vulnerable"))
        })
        .cloned()
        .collect();
    let check = if open.is_empty() {
        SUBJECT.pass(format!("none of {} is open", names.len()))
    } else {
        SUBJECT.warn(
            format!("open: {}", open.join(", ")),
            "update the processor's microcode and do not boot with `mitigations=off`",
        )
    };
    check.figure("openCount", open.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::super::host::made_up;
    use super::super::report::Status;
    use super::*;

    #[test]
    fn a_mitigated_processor_passes() {
        let made = made_up::host(&[
            ("sys/devices/system/cpu/vulnerabilities/mds", "Mitigation: Clear; SMT vulnerable\n"),
            ("sys/devices/system/cpu/vulnerabilities/l1tf", "Not affected\n"),
        ]);
        assert_eq!(check(&made.host).status, Status::Pass);
    }

    #[test]
    fn open_ones_are_named() {
        let made = made_up::host(&[
            ("sys/devices/system/cpu/vulnerabilities/itlb_multihit", "KVM: Vulnerable\n"),
            ("sys/devices/system/cpu/vulnerabilities/mds", "Vulnerable: no microcode\n"),
        ]);
        let check = check(&made.host);
        assert_eq!((check.status, check.figures["openCount"]), (Status::Warn, 2));
        assert_eq!(check.found, "open: itlb_multihit, mds");
    }
}
