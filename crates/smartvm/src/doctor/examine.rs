//! Looking at everything.

use super::host::Host;
use super::kvm_device::KvmDevice;
use super::options::DoctorOptions;
use super::private_dir;
use super::report::{Check, DoctorReport, Status};
use super::{
    architecture, cgroup, console_log, disk_budget, disk_space, firecracker, foreign_firewall,
    guest_speed, host_kernel, host_tools, huge_pages, io_uring, jail, ksm, kvm_module,
    kvm_parameters, mounts, nested, network, open_files, processor, second_level_paging, swap,
    userfaultfd, vulnerabilities,
};

/// Looks at what decides whether and how well virtual machines run here.
///
/// Changes nothing on the host: it reads files and the rules of nftables, runs `firecracker --version` and
/// `jailer --version`, and runs a guest of 6 bytes for the time that it takes to tell its speed
/// (at most [`DoctorOptions::probe_budget`], on a thread of its own). Takes about 0.1 seconds and
/// blocks for as long; call it where blocking is allowed.
///
/// It cannot fail: what cannot be examined is a check that says so.
#[must_use]
pub fn examine(options: &DoctorOptions) -> DoctorReport {
    let host = Host::this();
    let device = KvmDevice::try_out(&host);
    let speed = if device.is_usable() {
        guest_speed::check(&device.path, options.probe_budget)
    } else {
        guest_speed::not_tried()
    };
    conclude(&device, speed, options, &host)
}

fn conclude(
    device: &KvmDevice,
    speed: Check,
    options: &DoctorOptions,
    host: &Host,
) -> DoctorReport {
    let [firecracker, jailer] = firecracker::check(options);
    let [jail_directory, jail_users] = jail::check(options);
    let architecture = architecture::check();
    let has_kvm = device.is_usable() && architecture.status != Status::Fail;
    let can_run_firecracker = has_kvm && firecracker.status != Status::Fail;
    let can_run_linux_guests = has_kvm && speed.status != Status::Fail;
    let checks = vec![
        architecture,
        host_kernel::check(host),
        kvm_module::check(host),
        device.check_access(),
        device.check_create(),
        speed,
        firecracker,
        jailer,
        private_dir::check(private_dir::RUNTIME, &options.runtime_dir),
        private_dir::check(private_dir::DATA, &options.data_dir),
        jail_directory,
        jail_users,
        disk_space::check(&options.data_dir),
        disk_budget::check(&options.disk),
        open_files::check(),
        nested::check(host),
        second_level_paging::check(host),
        kvm_parameters::check(host),
        processor::check_model(host),
        processor::check_smt(host),
        vulnerabilities::check(host),
        ksm::check(host),
        swap::check(host),
        huge_pages::check(host),
        cgroup::check(host),
        network::check_tun(host),
        network::check_forwarding(host),
        foreign_firewall::check(options),
        io_uring::check(host),
        userfaultfd::check(host),
        host_tools::check(),
        mounts::check(host),
        console_log::check(host),
    ];
    DoctorReport { checks, can_run_firecracker, can_run_linux_guests }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::host::made_up;
    use super::*;

    fn report_of_an_empty_host() -> DoctorReport {
        let dir = tempfile::tempdir().unwrap();
        let made = made_up::host(&[]);
        let device = KvmDevice::try_out(&made.host);
        let mut options = DoctorOptions::new(dir.path(), dir.path());
        options.network_dir = dir.path().join("net");
        conclude(&device, guest_speed::not_tried(), &options, &made.host)
    }

    #[test]
    fn an_empty_host_runs_nothing() {
        let report = report_of_an_empty_host();
        assert!(!report.can_run_firecracker);
        assert!(!report.can_run_linux_guests);
    }

    #[test]
    fn each_check_has_a_name_of_its_own() {
        let report = report_of_an_empty_host();
        let names: HashSet<&str> = report.checks.iter().map(|check| check.id).collect();
        assert_eq!(names.len(), report.checks.len());
        assert!(names.iter().all(|n| n.chars().all(|c| c.is_ascii_lowercase() || c == '-')));
    }

    #[test]
    fn whatever_is_wrong_has_a_remedy() {
        for check in report_of_an_empty_host().checks {
            let is_wrong = matches!(check.status, Status::Warn | Status::Fail);
            assert!(!is_wrong || check.remedy.is_some(), "{}", check.id);
        }
    }
}
