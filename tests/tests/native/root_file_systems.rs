//! Root file systems, made of directories and archives, mounted and compared with what they were
//! made of.

mod portrait;
mod sample;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use smartvm_images::base_image::RootfsType;
use smartvm_images::{
    BuildRootfs, HostTools, ResizeTo, build_rootfs, create_blank_rootfs, resize_rootfs,
};
use smartvm_testkit::{LoopFs, TinyGuest, fixtures};

use self::portrait::{Times, assert_same, portrait};
use self::sample::{ACL, make_sample};

/// A squashfs that was made of an archive has its root directory from that moment.
fn assert_same_but_root_time(expected: &Path, found: &Path, times: Times) {
    let (mut expected, mut found) = (portrait(expected, times), portrait(found, times));
    if let Times::Squashed = times {
        for portrait in [&mut expected, &mut found] {
            let root = portrait.get_mut("./").unwrap();
            let mut words: Vec<_> = root.split(' ').collect();
            words[2] = "time";
            *root = words.join(" ");
        }
    }
    assert_same(&expected, &found);
}

fn built(source: &Path, rootfs_type: RootfsType, dir: &Path) -> (PathBuf, Vec<String>) {
    let request = BuildRootfs {
        source: source.to_owned(),
        rootfs_type,
        size_mib: None,
        tools: HostTools::default(),
    };
    let built = build_rootfs(&request, &dir.join("image")).unwrap();
    (built.path, built.lost)
}

/// Makes an archive of a directory as people do it.
fn archive(source: &Path, archive: &Path, option: &[&str]) {
    let made = Command::new("tar")
        .args(["--format=pax", "--xattrs", "--xattrs-include=*", "--numeric-owner"])
        .args(option)
        .arg("-cf")
        .args([archive, Path::new("-C"), source, Path::new(".")])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[test]
fn ext4_keeps_all_that_a_directory_has_but_attributes_it_is_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let source = make_sample(&dir.path().join("source"));
    let (image, lost) = built(&source, RootfsType::Ext4, dir.path());
    // Shown to the administrator of the host, and the programs that build run with less.
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert!(lost[0].contains("sticky` loses its attribute trusted.secret"), "{lost:?}");
    fs_err::remove_file(image).unwrap();
    rustix::fs::removexattr(source.join("sticky"), "trusted.secret").unwrap();
    let (image, lost) = built(&source, RootfsType::Ext4, dir.path());
    assert_eq!(lost, Vec::<String>::new());
    let mounted = LoopFs::of_image(&image);
    assert_same(&portrait(&source, Times::Whole), &portrait(mounted.path(), Times::Whole));
}

#[test]
fn squashfs_keeps_all_that_a_directory_has_but_what_it_cannot_count_or_is_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let source = make_sample(&dir.path().join("source"));
    let (image, mut lost) = built(&source, RootfsType::Squashfs, dir.path());
    lost.sort();
    assert_eq!(lost.len(), 2, "{lost:?}");
    assert!(lost[0].contains("pipe` is from before 1970"), "{lost:?}");
    assert!(lost[1].contains("sticky` loses its attribute trusted.secret"), "{lost:?}");
    fs_err::remove_file(image).unwrap();
    rustix::fs::removexattr(source.join("sticky"), "trusted.secret").unwrap();
    sample::set_time(&source.join("pipe"), sample::WHEN);
    let (image, lost) = built(&source, RootfsType::Squashfs, dir.path());
    assert_eq!(lost, Vec::<String>::new());
    let mounted = LoopFs::of_image(&image);
    assert_same(&portrait(&source, Times::Squashed), &portrait(mounted.path(), Times::Squashed));
}

#[test]
fn archives_become_what_their_directory_would() {
    let dir = tempfile::tempdir().unwrap();
    let source = make_sample(&dir.path().join("source"));
    // No archive has sockets, and squashfs no attributes of its root.
    fs_err::remove_file(source.join("socket")).unwrap();
    rustix::fs::removexattr(&source, "user.root").unwrap();
    sample::set_time(&source, sample::WHEN);
    sample::set_time(&source.join("pipe"), sample::WHEN);
    // GNU tar takes each name of a device for another one.
    fs_err::remove_file(source.join("etc/null too")).unwrap();
    sample::set_time(&source.join("etc"), sample::WHEN);
    for (name, option) in
        [("tar", &[][..]), ("tar.gz", &["--gzip"]), ("tar.zst", &["--zstd"]), ("tar.xz", &["--xz"])]
    {
        let file = dir.path().join(name);
        archive(&source, &file, option);
        for (rootfs_type, times) in
            [(RootfsType::Ext4, Times::Whole), (RootfsType::Squashfs, Times::Squashed)]
        {
            let (image, lost) = built(&file, rootfs_type, dir.path());
            assert_eq!(lost, Vec::<String>::new(), "{name} {rootfs_type}");
            let mounted = LoopFs::of_image(&image);
            assert_same_but_root_time(&source, mounted.path(), times);
            drop(mounted);
            fs_err::remove_file(image).unwrap();
        }
    }
}

#[test]
fn an_access_control_list_is_kept_by_ext4_and_squashfs_says_that_it_has_none() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs_err::create_dir(&source).unwrap();
    fs_err::write(source.join("file"), "x").unwrap();
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(source.join("file"), "system.posix_acl_access", &ACL, flags).unwrap();
    let (image, lost) = built(&source, RootfsType::Ext4, dir.path());
    assert_eq!(lost, Vec::<String>::new());
    let mounted = LoopFs::of_image(&image);
    let mut found = portrait(mounted.path(), Times::Whole);
    // Every ext4 has it.
    found.remove("./lost+found");
    assert_same(&portrait(&source, Times::Whole), &found);
    drop(mounted);
    fs_err::remove_file(image).unwrap();
    let (_, lost) = built(&source, RootfsType::Squashfs, dir.path());
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert!(lost[0].contains("posix_acl_access"), "{lost:?}");
}

#[test]
fn nobody_builds_a_bundle_with_the_files_of_root() {
    let dir = tempfile::tempdir().unwrap();
    let source = make_sample(&dir.path().join("source"));
    fs_err::remove_file(source.join("socket")).unwrap();
    rustix::fs::removexattr(&source, "user.root").unwrap();
    sample::set_time(&source, sample::WHEN);
    sample::set_time(&source.join("pipe"), sample::WHEN);
    fs_err::remove_file(source.join("etc/null too")).unwrap();
    sample::set_time(&source.join("etc"), sample::WHEN);
    let (root, kernel) = (dir.path().join("root.tar.gz"), dir.path().join("guest"));
    archive(&source, &root, &["--gzip"]);
    TinyGuest::halts().write_to(&kernel).unwrap();
    // A build tree may be closed to others.
    let command = dir.path().join("smartvm");
    fs_err::copy(fixtures::command(), &command).unwrap();
    let everybody = |path: &Path, mode| {
        fs_err::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    everybody(dir.path(), 0o755);
    everybody(&kernel, 0o644);
    let out = dir.path().join("out");
    fs_err::create_dir(&out).unwrap();
    everybody(&out, 0o777);
    for (rootfs_type, times) in [("ext4", Times::Whole), ("squashfs", Times::Squashed)] {
        let bundle = out.join(rootfs_type);
        let built = Command::new(&command)
            .args(["image", "build", "--id", "web-1", "--firecracker-version", "v1.12.1"])
            .args(["--type", rootfs_type, "--json", "--out"])
            .args([&bundle, Path::new("--kernel"), &kernel, Path::new("--rootfs"), &root])
            .args([Path::new("--data-dir"), &out.join("data")])
            .uid(65534)
            .gid(65534)
            .current_dir(&out)
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let said: serde_json::Value = serde_json::from_slice(&built.stdout).unwrap();
        assert_eq!(said["manifest"]["bundleId"], "web-1");
        assert_eq!(said["lost"], serde_json::json!([]));
        let mounted = LoopFs::of_image(&bundle.join(format!("rootfs.{rootfs_type}")));
        assert_same_but_root_time(&source, mounted.path(), times);
    }
    assert_eq!(fs_err::read_dir(&out).unwrap().count(), 2, "a draft was left");
}

#[test]
fn an_image_that_was_not_unmounted_is_mended_before_it_grows() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("disk.ext4");
    create_blank_rootfs(&image, 64, &HostTools::default()).unwrap();
    let mounts = dir.path().join("mnt");
    fs_err::create_dir(&mounts).unwrap();
    let run = |program: &str, args: &[&Path]| {
        let status = Command::new(program).args(args).status().unwrap();
        assert!(status.success(), "{program} {args:?}");
    };
    run("mount", &[Path::new("-o"), Path::new("loop"), &image, &mounts]);
    fs_err::write(mounts.join("file"), "kept").unwrap();
    run("sync", &[Path::new("-f"), &mounts]);
    // As it is on the disk in this moment.
    let taken = dir.path().join("taken.ext4");
    fs_err::copy(&image, &taken).unwrap();
    run("umount", &[&mounts]);
    resize_rootfs(&taken, ResizeTo::Mib(128), &HostTools::default()).unwrap();
    let mounted = LoopFs::of_image(&taken);
    assert_eq!(fs_err::read_to_string(mounted.path().join("file")).unwrap(), "kept");
}
