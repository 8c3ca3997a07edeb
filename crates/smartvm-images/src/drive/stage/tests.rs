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

fn drive(source: &Path, target: PathBuf) -> StageDrive {
    StageDrive { source: source.into(), target: target.into() }
}

#[test]
fn several_drives_are_all_staged_or_none_is() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs_err::write(&source, vec![5; 3 << 20]).unwrap();
    let mut drives: Vec<_> =
        (0..9).map(|number| drive(&source, dir.path().join(format!("copy-{number}")))).collect();
    let staged = stage_drives(&drives).unwrap();
    assert_eq!(staged.len(), 9);
    for drive in &drives {
        assert!(fs_err::read(drive.target.path()).unwrap() == vec![5; 3 << 20]);
        drive.target.remove().unwrap();
    }
    drives[8].source = dir.path().join("missing").into();
    let error = stage_drives(&drives).unwrap_err();
    assert_eq!(error.code(), "DRIVE_STAGING_FAILED");
    assert!(error.to_string().contains("missing"), "{error}");
    assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 1);
    assert!(stage_drives(&[]).unwrap().is_empty());
}

#[test]
fn drives_that_cannot_fit_are_refused_before_anything_is_copied() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs_err::write(&source, "drive").unwrap();
    let drives = ["a", "b"].map(|name| drive(&source, dir.path().join(name)));
    let mut begun: Vec<_> =
        drives.iter().map(|drive| Staging::begin(drive, Room::ForData).unwrap()).collect();
    // Each would fit alone, if the other were not.
    begun.iter_mut().for_each(|staging| staging.needed = Some(u64::MAX / 2));
    let error = check_space(&begun).unwrap_err();
    let Problem::NoSpace { needed, available } = &error.problem else {
        panic!("expected a lack of space");
    };
    assert!(available < needed);
    assert!(error.hint().unwrap().contains("free space"));
    begun.iter_mut().for_each(|staging| staging.needed = Some(0));
    check_space(&begun).unwrap();
    drop(begun);
    assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_copy_that_a_guest_could_not_fill_is_refused_whatever_is_in_it() {
    // Where no file shares its blocks with another.
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let source = dir.path().join("sparse");
    let volume = rustix::fs::statvfs(dir.path()).unwrap();
    // More than is free, of which nothing is written.
    let size = volume.f_bavail.saturating_mul(volume.f_frsize).saturating_mul(2);
    fs_err::File::create(&source).unwrap().set_len(size).unwrap();
    let to = |name: &str| drive(&source, dir.path().join(name));
    let plain = stage_drives(&[to("plain")]).unwrap();
    assert_eq!(plain[0].method, StagingMethod::Copy);
    let error = begin_growing_drives(&[to("growing")]).unwrap_err();
    assert_eq!(error.code(), "DRIVE_STAGING_FAILED");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains(&format!("need {size} bytes")), "{cause}");
    assert!(!dir.path().join("growing").exists());
}
