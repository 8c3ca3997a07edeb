//! Which processor the host has, and whether two guests can share a core of it.

use super::host::Host;
use super::report::{Check, Subject};

const MODEL: Subject = Subject { id: "processor", title: "Processor" };
const SMT: Subject = Subject { id: "smt", title: "Simultaneous multithreading" };

pub(super) fn check_model(host: &Host) -> Check {
    let cpuinfo = host.value("proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let count = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let model = field("model name").unwrap_or_else(|| "of unknown model".to_owned());
    let microcode =
        field("microcode").map(|version| format!(", microcode {version}")).unwrap_or_default();
    MODEL.info(format!("{count} x {model}{microcode}")).figure("processorCount", count as u64)
}

pub(super) fn check_smt(host: &Host) -> Check {
    match host.value("sys/devices/system/cpu/smt/active").as_deref() {
        Some("0") => SMT.pass("off"),
        Some(_) => SMT.warn(
            "on: guests on one core can spy on each other",
            "where guests distrust each other, boot with `nosmt` or give each whole cores",
        ),
        None => SMT.info("not reported by the kernel"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::host::made_up;
    use super::super::report::Status;
    use super::*;

    #[test]
    fn the_processor_is_described() {
        let cpuinfo = "processor : 0\nmodel name : Some CPU\nmicrocode : 0x2b\n\nprocessor : 1\n";
        let check = check_model(&made_up::host(&[("proc/cpuinfo", cpuinfo)]).host);
        assert_eq!(check.found, "2 x Some CPU, microcode 0x2b");
        assert_eq!(check.figures["processorCount"], 2);
    }

    #[test]
    fn shared_cores_are_warned_of() {
        let status = |files: &[_]| check_smt(&made_up::host(files).host).status;
        assert_eq!(status(&[("sys/devices/system/cpu/smt/active", "0\n")]), Status::Pass);
        assert_eq!(status(&[("sys/devices/system/cpu/smt/active", "1\n")]), Status::Warn);
        assert_eq!(status(&[]), Status::Info);
    }
}
