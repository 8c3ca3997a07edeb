use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn a_staged_drive_is_private_and_changes_to_it_do_not_reach_the_original() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (dir.path().join("rootfs.ext4"), dir.path().join("staged"));
    fs_err::write(&source, b"the root file system").unwrap();
    fs_err::set_permissions(&source, PermissionsExt::from_mode(0o444)).unwrap();
    let staged = stage_drive(&source, &target).unwrap();
    assert_eq!(staged.size, 20);
    match staged.method {
        StagingMethod::Reflink => assert_eq!(staged.bytes_copied, 0),
        StagingMethod::Copy => assert_eq!(staged.bytes_copied, 20),
    }
    assert_eq!(fs_err::read(&target).unwrap(), b"the root file system");
    assert_eq!(fs_err::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
    fs_err::write(&target, b"changed").unwrap();
    assert_eq!(fs_err::read(&source).unwrap(), b"the root file system");
}

#[test]
fn directories_devices_and_missing_files_are_refused_and_leave_no_target() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("staged");
    for (source, hint) in [
        (dir.path(), Some("mkfs.ext4 -d")),
        (Path::new("/dev/null"), Some("device")),
        (Path::new("/no/such/drive"), None),
    ] {
        let error = stage_drive(source, &target).unwrap_err();
        assert_eq!(error.code(), "DRIVE_STAGING_FAILED");
        assert_eq!(error.hint().is_some(), hint.is_some(), "{error:?}");
        assert!(error.hint().unwrap_or_default().contains(hint.unwrap_or_default()));
        assert!(!target.exists());
    }
}

#[test]
fn a_target_that_exists_or_is_a_link_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (dir.path().join("source"), dir.path().join("staged"));
    fs_err::write(&source, b"drive").unwrap();
    fs_err::write(&target, b"precious").unwrap();
    assert!(matches!(stage_drive(&source, &target).unwrap_err().problem, Problem::Target(_)));
    assert_eq!(fs_err::read(&target).unwrap(), b"precious");
    let link = dir.path().join("link");
    fs_err::os::unix::fs::symlink(dir.path().join("elsewhere"), &link).unwrap();
    assert!(stage_drive(&source, &link).is_err());
    assert!(!dir.path().join("elsewhere").exists());
}

#[test]
fn a_drive_that_cannot_fit_is_refused_before_anything_is_copied() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("staged");
    let draft = Draft::create(&path).unwrap();
    let Problem::NoSpace { needed, available } = check_space(&draft, u64::MAX).unwrap_err() else {
        panic!("expected a lack of space");
    };
    assert!(available < needed);
    check_space(&draft, 0).unwrap();
    drop(draft);
    assert!(!path.exists());
}
