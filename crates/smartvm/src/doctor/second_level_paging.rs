//! Whether the processor translates guest addresses by itself.

use super::host::Host;
use super::report::{Check, Subject};

const SUBJECT: Subject =
    Subject { id: "second-level-paging", title: "Guest paging in hardware (EPT, NPT)" };

const PARAMETERS: [(&str, &str, &str); 2] =
    [("EPT", "kvm_intel", "ept"), ("NPT", "kvm_amd", "npt")];

pub(super) fn check(host: &Host) -> Check {
    for (name, module, parameter) in PARAMETERS {
        match host.value(&format!("sys/module/{module}/parameters/{parameter}")).as_deref() {
            Some("Y" | "1") => return SUBJECT.pass(name),
            Some(_) => {
                return SUBJECT.warn(
                    format!("{name} is off or missing: guests are slow"),
                    format!("load {module} with `{parameter}=1`, or use a newer processor"),
                );
            }
            None => {}
        }
    }
    SUBJECT.info("not reported by KVM's driver")
}

#[cfg(test)]
mod tests {
    use super::super::host::made_up;
    use super::super::report::Status;
    use super::*;

    #[test]
    fn both_vendors_are_known() {
        let status = |path, text| check(&made_up::host(&[(path, text)]).host).status;
        assert_eq!(status("sys/module/kvm_intel/parameters/ept", "Y\n"), Status::Pass);
        assert_eq!(status("sys/module/kvm_amd/parameters/npt", "1\n"), Status::Pass);
        assert_eq!(status("sys/module/kvm_amd/parameters/npt", "N\n"), Status::Warn);
        assert_eq!(status("sys/module/kvm/parameters/x", ""), Status::Info);
    }
}
