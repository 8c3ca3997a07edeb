//! Whose a lent image is, whatever happens to it meanwhile.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use smartvm::DriveConfig;
use smartvm_testkit::tiny_guest::TinyGuest;

use super::{Jailed, bench};
use crate::support::{Bench, drive, whole};

/// A user of the range that VMs have by default.
const OF_VMS: u32 = 1_900_000_491;

fn image(bench: &Bench) -> PathBuf {
    let path = bench.file("kept");
    fs_err::write(&path, vec![7; 1 << 16]).unwrap();
    chown(&path, Some(1234), Some(4321)).unwrap();
    path
}

async fn writing(bench: &Bench, path: &Path) -> Result<Jailed, smartvm::SmartVmError> {
    let mut config = bench.config(&TinyGuest::halts());
    config.drives = vec![DriveConfig { ephemeral: Some(false), ..drive("kept", path) }];
    Jailed::try_start(bench.smartvm.create_vm(&config).unwrap()).await
}

fn owner(path: &Path) -> (u32, u32) {
    let found = fs_err::metadata(path).unwrap();
    (found.uid(), found.gid())
}

#[tokio::test]
async fn an_image_given_to_two_vms_has_its_owner_again_in_the_end() {
    let bench = bench();
    let path = image(&bench);
    let first = writing(&bench, &path).await.unwrap();
    let refused = writing(&bench, &path).await.err().unwrap();
    assert_eq!(refused.code(), "IMAGE_IN_USE", "{}", whole(&refused));
    assert_eq!(owner(&path).0, first.uid);
    first.vm.cleanup().await.unwrap();
    assert_eq!(owner(&path), (1234, 4321));
}

#[tokio::test]
async fn an_image_that_belongs_to_a_user_of_vms_is_refused() {
    let bench = bench();
    let path = image(&bench);
    chown(&path, Some(OF_VMS), None).unwrap();
    let refused = writing(&bench, &path).await.err().unwrap();
    assert_eq!(refused.code(), "IMAGE_OF_A_VM", "{}", whole(&refused));
    assert_eq!(owner(&path).0, OF_VMS);
}

#[tokio::test]
async fn an_image_that_was_moved_while_it_was_lent_is_given_back() {
    let bench = bench();
    let path = image(&bench);
    let elsewhere = bench.file("elsewhere");
    fs_err::create_dir(&elsewhere).unwrap();
    let moved = elsewhere.join("moved");
    let vm = writing(&bench, &path).await.unwrap();
    fs_err::rename(&path, &moved).unwrap();
    vm.vm.cleanup().await.unwrap();
    assert_eq!(owner(&moved), (1234, 4321));
}

#[tokio::test]
async fn an_image_on_another_file_system_is_given_back_under_another_name() {
    let bench = bench();
    let other = tempfile::tempdir_in("/var/tmp").unwrap();
    let (path, moved) = (other.path().join("far"), other.path().join("moved"));
    fs_err::write(&path, vec![7; 1 << 16]).unwrap();
    chown(&path, Some(1234), Some(4321)).unwrap();
    let vm = writing(&bench, &path).await.unwrap();
    fs_err::rename(&path, &moved).unwrap();
    vm.vm.cleanup().await.unwrap();
    assert_eq!(owner(&moved), (1234, 4321));
}
