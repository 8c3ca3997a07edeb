use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::{BuildRootfs, base_image::RootfsType, build_rootfs, create_blank_rootfs};

/// An image of 64 MiB with a file of 8 MiB.
fn image(dir: &Path) -> PathBuf {
    let files = dir.join("files");
    fs_err::create_dir(&files).unwrap();
    fs_err::write(files.join("data"), vec![7; 8 << 20]).unwrap();
    let request = BuildRootfs {
        source: files,
        rootfs_type: RootfsType::Ext4,
        size_mib: Some(64),
        tools: HostTools::default(),
    };
    build_rootfs(&request, &dir.join("root.ext4")).unwrap().path
}

fn read_back(image: &Path) -> Vec<u8> {
    let call = ToolCall::new(Tool::DEBUGFS).args(["-R", "cat /data"]).image(image);
    // Only the end of an output is kept, which is enough to see that it is there.
    call.run(&HostTools::default()).unwrap().stdout.into_bytes()
}

#[test]
fn an_image_grows_and_shrinks_to_its_minimum_and_keeps_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = image(dir.path());
    fs_err::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    let tools = HostTools::default();
    let grown = resize_rootfs(&path, ResizeTo::Mib(300), &tools).unwrap();
    assert_eq!((grown.former_size, grown.size), (64 << 20, 300 << 20));
    assert_eq!(fs_err::metadata(&path).unwrap().len(), 300 << 20);
    assert!(read_back(&path).iter().all(|&byte| byte == 7));
    let shrunk = resize_rootfs(&path, ResizeTo::Minimum, &tools).unwrap();
    assert!((8 << 20..64 << 20).contains(&shrunk.size), "{shrunk:?}");
    assert_eq!(fs_err::metadata(&path).unwrap().len(), shrunk.size);
    assert!(!read_back(&path).is_empty());
    check(&path, &tools).unwrap();
    assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn an_image_is_not_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.ext4");
    create_blank_rootfs(&path, 64, &HostTools::default()).unwrap();
    let before = fs_err::read(&path).unwrap();
    let error = resize_rootfs(&path, ResizeTo::Mib(32), &HostTools::default()).unwrap_err();
    assert_eq!(error.code(), "ROOTFS_SHRINK_REFUSED");
    assert!(error.hint().unwrap().contains("minimum"));
    assert!(fs_err::read(&path).unwrap() == before);
}

#[test]
fn what_is_no_ext4_or_damaged_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.ext4");
    fs_err::write(&path, vec![1; 4096]).unwrap();
    let error = resize_rootfs(&path, ResizeTo::Mib(32), &HostTools::default()).unwrap_err();
    assert_eq!(error.code(), "ROOTFS_RESIZE_FAILED");
    assert!(error.hint().unwrap().contains("ext4"));
    fs_err::remove_file(&path).unwrap();

    create_blank_rootfs(&path, 16, &HostTools::default()).unwrap();
    let mut bytes = fs_err::read(&path).unwrap();
    // The descriptors of the groups, and all of the copies.
    bytes[4096..].fill(0xa5);
    fs_err::write(&path, &bytes).unwrap();
    let error = resize_rootfs(&path, ResizeTo::Mib(32), &HostTools::default()).unwrap_err();
    assert_eq!(error.code(), "ROOTFS_RESIZE_FAILED");
    assert!(fs_err::read(&path).unwrap() == bytes);
    assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 1);
}
