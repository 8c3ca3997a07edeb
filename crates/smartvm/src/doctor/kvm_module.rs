//! Whether the kernel has KVM and a driver for this processor.

use super::host::Host;
use super::report::{Check, Subject};

const SUBJECT: Subject = Subject { id: "kvm-module", title: "KVM modules" };

pub(super) fn check(host: &Host) -> Check {
    // They are there for built-in modules, too, as `/proc/modules` is not.
    let drivers: Vec<String> =
        host.names("sys/module").into_iter().filter(|name| name.starts_with("kvm_")).collect();
    if !host.exists("sys/module/kvm") {
        return SUBJECT.fail("not loaded", load_remedy(host));
    }
    if drivers.is_empty() {
        // Where KVM is one with its driver, as on aarch64, there is no other module to find.
        return match vendor_driver(host) {
            Some(_) => SUBJECT.fail("kvm, but no driver for this processor", load_remedy(host)),
            None => SUBJECT.info("kvm, with no driver of its own"),
        };
    }
    let found = format!("kvm, {}", drivers.join(", "));
    if drivers.iter().any(|driver| driver == "kvm_intel" || driver == "kvm_amd") {
        SUBJECT.pass(found)
    } else {
        SUBJECT.info(format!("{found}: not one of the drivers for hardware"))
    }
}

fn load_remedy(host: &Host) -> String {
    match vendor_driver(host) {
        Some(driver) => format!("run `modprobe {driver}` as root"),
        None => "turn virtualisation on in the firmware, or, where this is a virtual machine, \
                 nested virtualisation in its host"
            .to_owned(),
    }
}

/// The driver for this processor, where it shows that it can virtualise.
fn vendor_driver(host: &Host) -> Option<&'static str> {
    let cpuinfo = host.value("proc/cpuinfo")?;
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"))?;
    flags.split_ascii_whitespace().find_map(|flag| match flag {
        "vmx" => Some("kvm_intel"),
        "svm" => Some("kvm_amd"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::host::made_up;
    use super::super::report::Status;
    use super::*;

    const SVM: (&str, &str) = ("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu svm lm\n");
    const KVM: (&str, &str) = ("sys/module/kvm/parameters/x", "");

    #[test]
    fn kvm_with_its_driver_is_all_that_is_needed() {
        let made = made_up::host(&[KVM, ("sys/module/kvm_amd/parameters/npt", "1"), SVM]);
        assert_eq!(check(&made.host), SUBJECT.pass("kvm, kvm_amd"));
    }

    #[test]
    fn the_remedy_names_the_driver_of_this_processor() {
        for files in [&[SVM][..], &[KVM, SVM]] {
            let check = check(&made_up::host(files).host);
            assert_eq!(check.status, Status::Fail);
            assert_eq!(check.remedy.unwrap(), "run `modprobe kvm_amd` as root");
        }
    }

    #[test]
    fn a_processor_without_virtualisation_needs_another_remedy() {
        let check = check(&made_up::host(&[("proc/cpuinfo", "flags : fpu")]).host);
        assert!(check.remedy.unwrap().contains("firmware"));
    }

    #[test]
    fn a_driver_that_needs_no_hardware_is_told_apart() {
        let made = made_up::host(&[KVM, ("sys/module/kvm_pvm/parameters/x", "")]);
        assert_eq!(check(&made.host).status, Status::Info);
    }
}
