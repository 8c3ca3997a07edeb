//! What guests with a network need of the host.

use rustix::fs::{Access, access};

use super::host::Host;
use super::report::{Check, Subject};

const TUN: Subject = Subject { id: "tun", title: "TAP devices (/dev/net/tun)" };
const FORWARD: Subject = Subject { id: "ip-forward", title: "IPv4 forwarding" };

pub(super) fn check_tun(host: &Host) -> Check {
    let device = host.path("dev/net/tun");
    if access(&device, Access::READ_OK | Access::WRITE_OK).is_ok() {
        TUN.pass("readable and writable")
    } else if device.exists() {
        TUN.warn("not accessible: no networks for guests", "run as root, or allow the device")
    } else {
        TUN.warn("missing: no networks for guests", "run `modprobe tun` as root")
    }
}

pub(super) fn check_forwarding(host: &Host) -> Check {
    match host.value("proc/sys/net/ipv4/ip_forward").as_deref() {
        Some("1") => FORWARD.pass("on"),
        _ => FORWARD
            .info("off: a network turns it on for its own links, but not for TAPs of yours")
            .remedy("run `sysctl net.ipv4.ip_forward=1` as root where guests of those should reach more"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::host::made_up;
    use super::super::report::Status;
    use super::*;

    #[test]
    fn a_missing_tun_device_is_warned_of() {
        assert_eq!(check_tun(&made_up::host(&[("dev/net/tun", "")]).host).status, Status::Pass);
        let check = check_tun(&made_up::host(&[]).host);
        assert_eq!(check.status, Status::Warn);
        assert!(check.remedy.unwrap().contains("modprobe tun"));
    }

    #[test]
    fn forwarding_is_told() {
        let status = |files: &[_]| check_forwarding(&made_up::host(files).host).status;
        assert_eq!(status(&[("proc/sys/net/ipv4/ip_forward", "1\n")]), Status::Pass);
        assert_eq!(status(&[("proc/sys/net/ipv4/ip_forward", "0\n")]), Status::Info);
        assert_eq!(status(&[]), Status::Info);
    }
}
