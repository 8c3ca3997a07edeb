//! Whether this host is itself a virtual machine.

use super::host::Host;
use super::report::{Check, Subject};

const SUBJECT: Subject = Subject { id: "nested", title: "Nested virtualisation" };

pub(super) fn check(host: &Host) -> Check {
    let Some(cpuinfo) = host.value("proc/cpuinfo") else {
        return SUBJECT.info("cannot tell without /proc/cpuinfo");
    };
    let is_guest = cpuinfo
        .lines()
        .filter(|line| line.starts_with("flags"))
        .any(|line| line.split_ascii_whitespace().any(|flag| flag == "hypervisor"));
    if !is_guest {
        return SUBJECT.pass("this host shows no hypervisor below it");
    }
    let product = host.value("sys/class/dmi/id/product_name").filter(|name| !name.is_empty());
    let product = product.map(|name| format!(" ({name})")).unwrap_or_default();
    SUBJECT.warn(
        format!(
            "this host is itself a virtual machine{product}: guests are slower and less isolated"
        ),
        "use bare metal in production; for development `kvm-guest-speed` tells whether it will do",
    )
}

#[cfg(test)]
mod tests {
    use super::super::host::made_up;
    use super::super::report::Status;
    use super::*;

    #[test]
    fn bare_metal_passes() {
        let made =
            made_up::host(&[("proc/cpuinfo", "model name : x hypervisor\nflags : fpu lm\n")]);
        assert_eq!(check(&made.host).status, Status::Pass);
    }

    #[test]
    fn a_virtual_machine_is_named() {
        let made = made_up::host(&[
            ("proc/cpuinfo", "flags : fpu hypervisor lm\n"),
            ("sys/class/dmi/id/product_name", "Standard PC\n"),
        ]);
        let check = check(&made.host);
        assert_eq!(check.status, Status::Warn);
        assert!(check.found.contains("(Standard PC)"));
    }
}
