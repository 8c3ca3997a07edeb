//! Somebody has put something where a jail is to be made.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use smartvm::MicroVm;
use smartvm_testkit::tiny_guest::TinyGuest;

use super::{bench, names};
use crate::support::{Bench, whole};

const UID: u32 = 1_909_999_999;

/// A VM whose jail has a name that is known beforehand.
fn foreseeable(bench: &Bench) -> (MicroVm, PathBuf) {
    let mut config = bench.config(&TinyGuest::halts());
    config.id = Some("vm".into());
    config.jail.uid = Some(UID);
    let base = bench.home.data_dir().join("jail/firecracker");
    (bench.smartvm.create_vm(&config).unwrap(), base.join(format!("vm-{UID}")))
}

fn make_private(path: &std::path::Path) {
    fs_err::create_dir_all(path).unwrap();
    for dir in path.ancestors().take(2) {
        fs_err::set_permissions(dir, PermissionsExt::from_mode(0o700)).unwrap();
    }
}

#[tokio::test]
async fn a_link_in_place_of_a_jail_is_refused_and_what_it_leads_to_not_touched() {
    let bench = bench();
    let (vm, jail) = foreseeable(&bench);
    make_private(jail.parent().unwrap());
    let elsewhere = bench.file("elsewhere");
    fs_err::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, &jail).unwrap();
    let error = vm.start().await.unwrap_err();
    assert_eq!(error.code(), "JAIL_DIR_UNUSABLE", "{}", whole(&error));
    assert!(jail.is_symlink() && names(&elsewhere).is_empty());
    assert_eq!(bench.vm_dirs(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_hard_link_where_the_program_is_copied_to_is_refused_and_its_file_not_overwritten() {
    let bench = bench();
    let (vm, jail) = foreseeable(&bench);
    make_private(jail.parent().unwrap());
    fs_err::create_dir_all(jail.join("root")).unwrap();
    let precious = bench.file("precious");
    fs_err::write(&precious, "precious").unwrap();
    fs_err::hard_link(&precious, jail.join("root/firecracker")).unwrap();
    let error = vm.start().await.unwrap_err();
    assert_eq!(error.code(), "JAIL_DIR_UNUSABLE", "{}", whole(&error));
    assert_eq!(fs_err::read_to_string(&precious).unwrap(), "precious");
}

#[tokio::test]
async fn a_link_in_place_of_a_directory_above_is_refused() {
    let bench = bench();
    let (vm, jail) = foreseeable(&bench);
    let elsewhere = bench.file("elsewhere");
    fs_err::create_dir(&elsewhere).unwrap();
    let of_program = jail.parent().unwrap();
    make_private(of_program.parent().unwrap());
    symlink(&elsewhere, of_program).unwrap();
    let error = vm.start().await.unwrap_err();
    assert!(whole(&error).contains("symbolic links"), "{}", whole(&error));
    assert!(names(&elsewhere).is_empty());
    assert_eq!(bench.vm_dirs(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_directory_that_others_can_write_to_is_refused() {
    let bench = bench();
    let (vm, jail) = foreseeable(&bench);
    let base = jail.parent().unwrap().parent().unwrap();
    make_private(base);
    fs_err::set_permissions(base, PermissionsExt::from_mode(0o770)).unwrap();
    let error = vm.start().await.unwrap_err();
    assert_eq!(error.code(), "UNSAFE_DIRECTORY", "{}", whole(&error));
}
