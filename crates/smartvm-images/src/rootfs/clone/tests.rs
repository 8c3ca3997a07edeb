use super::*;

#[test]
fn a_clone_has_the_content_and_is_not_the_source() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (dir.path().join("base"), dir.path().join("clone"));
    fs_err::write(&source, "content").unwrap();
    assert_eq!(clone_rootfs(&source, &target).unwrap().size, 7);
    fs_err::write(&target, "changed").unwrap();
    assert_eq!(fs_err::read_to_string(&source).unwrap(), "content");
    let error = clone_rootfs(&source, &target).unwrap_err();
    assert_eq!(error.code(), "ROOTFS_CLONE_FAILED");
    assert_eq!(fs_err::read_to_string(&target).unwrap(), "changed");
}

#[test]
fn a_source_that_is_no_file_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("clone");
    for source in [dir.path(), Path::new("/no/such/image")] {
        let error = clone_rootfs(source, &target).unwrap_err();
        assert_eq!(error.code(), "ROOTFS_CLONE_FAILED");
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 0);
    }
}
