//! Settings of KVM that change how guests run.

use super::host::Host;
use super::report::{Check, Subject};

const SUBJECT: Subject = Subject { id: "kvm-parameters", title: "KVM settings" };

pub(super) fn check(host: &Host) -> Check {
    let value = |name| host.value(&format!("sys/module/kvm/parameters/{name}"));
    let settings: Vec<String> = ["nx_huge_pages", "min_timer_period_us", "halt_poll_ns"]
        .into_iter()
        .filter_map(|name| value(name).map(|value| format!("{name}={value}")))
        .collect();
    if settings.is_empty() {
        return SUBJECT.info("not reported by KVM");
    }
    let check = SUBJECT.info(settings.join(", "));
    let multihit = host.value("sys/devices/system/cpu/vulnerabilities/itlb_multihit");
    let is_needless = multihit.as_deref() == Some("Not affected");
    if is_needless && value("nx_huge_pages").as_deref() == Some("Y") {
        return check.remedy(
            "this processor does not need `nx_huge_pages`; load kvm with `nx_huge_pages=never` \
             for faster restores",
        );
    }
    check
}

#[cfg(test)]
mod tests {
    use super::super::host::made_up;
    use super::*;

    const NX: (&str, &str) = ("sys/module/kvm/parameters/nx_huge_pages", "Y\n");
    const MULTIHIT: &str = "sys/devices/system/cpu/vulnerabilities/itlb_multihit";

    #[test]
    fn a_mitigation_without_need_has_a_remedy() {
        let check = check(&made_up::host(&[NX, (MULTIHIT, "Not affected\n")]).host);
        assert_eq!(check.found, "nx_huge_pages=Y");
        assert!(check.remedy.is_some());
    }

    #[test]
    fn a_mitigation_that_is_needed_has_none() {
        let made = made_up::host(&[NX, (MULTIHIT, "KVM: Mitigation: Split huge pages\n")]);
        assert_eq!(check(&made.host).remedy, None);
        assert_eq!(check(&made_up::host(&[]).host).found, "not reported by KVM");
    }
}
