use super::*;
use crate::snapshot::samples::manifest;

#[test]
fn this_host_can_load_what_it_saved() {
    let host = HostIdentity::here().unwrap();
    assert_eq!(manifest("one").check_host(&host, false).unwrap(), Vec::<String>::new());
}

#[test]
fn another_kernel_is_told_and_another_processor_is_refused_unless_accepted() {
    let mut host = HostIdentity::here().unwrap();
    host.kernel = "9.9.9".into();
    let told = manifest("one").check_host(&host, false).unwrap();
    assert!(told[0].contains("9.9.9"), "{told:?}");
    host.cpu.vendor = "Another".into();
    let refused = manifest("one").check_host(&host, false).unwrap_err();
    assert_eq!(refused.code(), "SNAPSHOT_WRONG_CPU");
    assert!(refused.to_string().contains("vendor Another"), "{refused}");
    assert_eq!(manifest("one").check_host(&host, true).unwrap().len(), 2);
}

#[test]
fn another_architecture_is_refused_always() {
    let mut host = HostIdentity::here().unwrap();
    host.architecture = "riscv64".into();
    let refused = manifest("one").check_host(&host, true).unwrap_err();
    assert_eq!(refused.code(), "SNAPSHOT_WRONG_ARCH");
}

#[test]
fn another_form_is_refused_and_both_firecrackers_named() {
    let manifest = manifest("one");
    let (old, new) = (FirecrackerVersion::new(1, 12, 0), FirecrackerVersion::new(1, 13, 1));
    manifest.check_firecracker(&old, SnapshotFormat::new(6, 0, 0)).unwrap();
    let refused = manifest.check_firecracker(&new, SnapshotFormat::new(8, 0, 0)).unwrap_err();
    assert_eq!(refused.code(), "SNAPSHOT_WRONG_FORMAT");
    let said = refused.to_string();
    assert!(said.contains("1.12.1 in form 6.0.0") && said.contains("1.13.1 reads form 8.0.0"));
}
