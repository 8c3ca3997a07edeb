//! The doctor where guests run.

use smartvm::doctor::{DoctorOptions, examine};

#[test]
fn a_host_that_boots_linux_guests_is_called_one() {
    let report = examine(&DoctorOptions::default());
    let speed = report.checks.iter().find(|check| check.id == "kvm-guest-speed").unwrap();
    assert!(report.can_run_linux_guests, "{speed:?}");
}
