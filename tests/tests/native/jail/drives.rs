//! Drives in a jail: shared to be read, private or lent to be written.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;

use smartvm::DriveConfig;
use smartvm_testkit::tiny_guest::TinyGuest;

use super::{Jailed, bench, jails};
use crate::support::{Bench, drive};

fn image(bench: &Bench, name: &str, mode: u32) -> PathBuf {
    let path = bench.file(name);
    fs_err::write(&path, vec![7; 1 << 16]).unwrap();
    fs_err::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    path
}

async fn with_drive(bench: &Bench, drive: DriveConfig) -> Jailed {
    let mut config = bench.config(&TinyGuest::halts());
    config.drives = vec![drive];
    Jailed::start(bench.smartvm.create_vm(&config).unwrap()).await
}

#[tokio::test]
async fn one_that_others_may_read_is_shared_and_cannot_be_written() {
    let bench = bench();
    let path = image(&bench, "base", 0o644);
    let read_only = DriveConfig { is_read_only: Some(true), ..drive("base", &path) };
    let (first, second) =
        (with_drive(&bench, read_only.clone()).await, with_drive(&bench, read_only).await);
    let found = fs_err::metadata(&path).unwrap();
    for jailed in [&first, &second] {
        let inside = fs_err::metadata(jailed.proc("root/drives/base-base")).unwrap();
        assert_eq!(inside.ino(), found.ino());
    }
    assert_eq!((found.uid(), found.mode() & 0o7777), (0, 0o644));
    first.vm.cleanup().await.unwrap();
    second.vm.cleanup().await.unwrap();
    assert_eq!(fs_err::metadata(&path).unwrap().nlink(), 1);
}

#[tokio::test]
async fn one_that_only_root_may_read_is_copied() {
    let bench = bench();
    let path = image(&bench, "secret", 0o600);
    let jailed =
        with_drive(&bench, DriveConfig { is_read_only: Some(true), ..drive("s", &path) }).await;
    let inside = fs_err::metadata(jailed.root.join("drives/s-secret")).unwrap();
    assert_ne!(inside.ino(), fs_err::metadata(&path).unwrap().ino());
    assert_eq!((inside.uid(), inside.mode() & 0o7777), (jailed.uid, 0o600));
    jailed.vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn one_that_anybody_may_write_is_mounted_read_only_for_it_alone() {
    let bench = bench();
    let path = image(&bench, "open", 0o666);
    let jailed =
        with_drive(&bench, DriveConfig { is_read_only: Some(true), ..drive("o", &path) }).await;
    let mounts = fs_err::read_to_string(jailed.proc("mountinfo")).unwrap();
    let line = mounts.lines().find(|line| line.contains(" /drives/o-open ")).expect(&mounts);
    assert!(line.contains(" /drives/o-open ro,nosuid,nodev,noexec"), "{line}");
    let ours = fs_err::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!ours.contains("o-open"), "the host sees it: {ours}");
    jailed.vm.cleanup().await.unwrap();
    assert_eq!(jails(&bench).len(), 0);
}

#[tokio::test]
async fn a_private_copy_is_its_own_and_the_image_stays_as_it_was() {
    let bench = bench();
    let path = image(&bench, "disk", 0o600);
    let jailed = with_drive(&bench, drive("rootfs", &path)).await;
    let inside = fs_err::metadata(jailed.root.join("drives/rootfs-disk")).unwrap();
    assert_eq!((inside.uid(), inside.mode() & 0o7777), (jailed.uid, 0o600));
    let parent = fs_err::metadata(jailed.root.join("drives")).unwrap();
    assert_eq!((parent.uid(), parent.mode() & 0o7777), (0, 0o755), "it cannot replace its drives");
    jailed.vm.cleanup().await.unwrap();
    assert_eq!(fs_err::metadata(&path).unwrap().uid(), 0);
}

#[tokio::test]
async fn an_image_that_it_writes_itself_is_lent_and_given_back() {
    let bench = bench();
    let path = image(&bench, "kept", 0o640);
    chown(&path, Some(1234), Some(4321)).unwrap();
    let kept = DriveConfig { ephemeral: Some(false), ..drive("kept", &path) };
    let jailed = with_drive(&bench, kept).await;
    let lent = fs_err::metadata(&path).unwrap();
    assert_eq!((lent.uid(), lent.gid()), (jailed.uid, jailed.gid));
    assert_eq!(fs_err::metadata(jailed.root.join("drives/kept-kept")).unwrap().ino(), lent.ino());
    jailed.vm.cleanup().await.unwrap();
    let back = fs_err::metadata(&path).unwrap();
    assert_eq!((back.uid(), back.gid(), back.mode() & 0o7777), (1234, 4321, 0o640));
}

#[tokio::test]
async fn an_image_on_another_file_system_is_mounted_for_it_alone() {
    let bench = bench();
    let other = tempfile::tempdir_in("/var/tmp").unwrap();
    let path = other.path().join("far");
    fs_err::write(&path, vec![7; 1 << 16]).unwrap();
    fs_err::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    assert_ne!(
        fs_err::metadata(&path).unwrap().dev(),
        fs_err::metadata(bench.home.data_dir()).unwrap().dev(),
        "the two directories of this test have to be on two file systems"
    );
    let kept = DriveConfig { ephemeral: Some(false), ..drive("far", &path) };
    let jailed = with_drive(&bench, kept).await;
    let inside = fs_err::metadata(jailed.proc("root/drives/far-far")).unwrap();
    let outside = fs_err::metadata(&path).unwrap();
    assert_eq!((inside.dev(), inside.ino()), (outside.dev(), outside.ino()));
    jailed.vm.cleanup().await.unwrap();
    assert_eq!(fs_err::metadata(&path).unwrap().uid(), 0);
}
