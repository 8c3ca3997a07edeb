use std::os::unix::fs::MetadataExt;

use super::super::ext4::{Ext4Superblock, check};
use super::*;

#[test]
fn a_blank_root_is_a_sparse_ext4_of_its_size() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.ext4");
    let tools = HostTools::default();
    assert_eq!(create_blank_rootfs(&path, 512, &tools).unwrap(), path);
    let found = fs_err::metadata(&path).unwrap();
    assert_eq!(found.len(), 512 << 20);
    assert!(found.blocks() * 512 < 32 << 20, "{} blocks", found.blocks());
    assert_eq!(found.mode() & 0o777, 0o600);
    check(&path, &tools).unwrap();
    let superblock = Ext4Superblock::parse(&fs_err::read(&path).unwrap()).unwrap();
    assert_eq!(superblock.size(), 512 << 20);
    assert!(superblock.free() > 400 << 20);
    assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_name_that_is_taken_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.ext4");
    fs_err::write(&path, "precious").unwrap();
    let error = create_blank_rootfs(&path, 16, &HostTools::default()).unwrap_err();
    assert_eq!(error.code(), "ROOTFS_CREATE_FAILED");
    assert!(error.hint().unwrap().contains("another name"));
    assert_eq!(fs_err::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn impossible_sizes_and_a_missing_program_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.ext4");
    for size_mib in [0, u64::MAX] {
        let error = create_blank_rootfs(&path, size_mib, &HostTools::default()).unwrap_err();
        assert!(error.hint().unwrap().contains("MiB"));
    }
    let nowhere = HostTools::only_in(Vec::new());
    let error = create_blank_rootfs(&path, 16, &nowhere).unwrap_err();
    assert_eq!(error.code(), "ROOTFS_CREATE_FAILED");
    assert!(error.hint().unwrap().contains("apt-get install e2fsprogs"));
    assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 0);
}
