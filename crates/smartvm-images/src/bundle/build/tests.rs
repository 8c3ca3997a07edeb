use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::HostTools;
use crate::base_image::RootfsType;
use crate::kernel::samples;

/// What a bundle is made of, in `dir`.
fn request(dir: &Path, rootfs_type: RootfsType) -> BuildBundle {
    let (kernel, files) = (dir.join("kernel"), dir.join("files"));
    if !kernel.exists() {
        fs_err::write(&kernel, samples::vmlinux("6.1.0")).unwrap();
        fs_err::create_dir_all(files.join("etc")).unwrap();
        fs_err::write(files.join("etc/hostname"), "guest\n").unwrap();
    }
    let rootfs =
        BuildRootfs { source: files, rootfs_type, size_mib: None, tools: HostTools::default() };
    BuildBundle {
        bundle_id: "web-1".parse().unwrap(),
        name: None,
        arch: Arch::X86_64,
        firecracker_version: ReleaseVersion::new(1, 12, 1),
        kernel,
        initrd: None,
        rootfs,
        rootfs_is_read_only: None,
        boot_args: None,
        url_base: None,
    }
}

#[test]
fn a_bundle_is_a_directory_that_can_be_served() {
    let dir = tempfile::tempdir().unwrap();
    for (rootfs_type, name) in
        [(RootfsType::Ext4, "rootfs.ext4"), (RootfsType::Squashfs, "rootfs.squashfs")]
    {
        let initrd = dir.path().join("initramfs");
        fs_err::write(&initrd, "cpio").unwrap();
        let request = BuildBundle {
            name: Some("a web server".into()),
            initrd: Some(initrd),
            boot_args: Some("console=ttyS0 quiet".into()),
            ..request(dir.path(), rootfs_type)
        };
        let out = dir.path().join(rootfs_type.as_str());
        let built = build_bundle(&request, &out).unwrap();
        assert_eq!((&built.dir, &built.lost), (&out, &Vec::new()));
        let text = fs_err::read(out.join("manifest.json")).unwrap();
        let manifest = HostedManifest::parse(&text).unwrap();
        assert_eq!(manifest, built.manifest);
        assert_eq!(manifest.boot_args(), "console=ttyS0 quiet");
        assert_eq!(manifest.rootfs_is_read_only(), rootfs_type == RootfsType::Squashfs);
        for (file, artifact) in [
            ("vmlinux", manifest.kernel()),
            ("initrd", manifest.initrd().unwrap()),
            (name, manifest.rootfs()),
        ] {
            let path = out.join(file);
            assert_eq!(artifact.sha256().unwrap(), Sha256Digest::of_file(&path).unwrap());
            let found = fs_err::metadata(&path).unwrap();
            assert_eq!(artifact.size_bytes, Some(found.len()));
            assert_eq!(found.permissions().mode() & 0o777, 0o644);
            let place = Artifact::at_url(file.parse().unwrap(), artifact.sha256().unwrap());
            assert_eq!(artifact.source, place.source);
        }
        assert_eq!(fs_err::metadata(&out).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs_err::read_dir(&out).unwrap().count(), 4);
    }
    let left = fs_err::read_dir(dir.path()).unwrap().map(|it| it.unwrap().file_name());
    assert!(!left.into_iter().any(|name| name.as_encoded_bytes().starts_with(b".")));
}

#[test]
fn an_address_that_the_bundle_will_have_is_written_before_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let plain = request(dir.path(), RootfsType::Squashfs);
    let base = |base: &str| BuildBundle { url_base: Some(base.into()), ..plain.clone() };
    let built = build_bundle(&base("https://example.com/web/"), &dir.path().join("a")).unwrap();
    let json = serde_json::to_value(&built.manifest).unwrap();
    assert_eq!(json["kernel"]["url"], "https://example.com/web/vmlinux");
    let error = build_bundle(&base("somewhere"), &dir.path().join("b")).unwrap_err();
    assert_eq!(error.code(), "INVALID_BASE_IMAGE_MANIFEST");
    assert!(!dir.path().join("b").exists());
}

#[test]
fn a_packed_kernel_is_unpacked() {
    let dir = tempfile::tempdir().unwrap();
    let request = request(dir.path(), RootfsType::Squashfs);
    let vmlinux = samples::vmlinux("6.1.0");
    let packed = samples::with_length(samples::gzip(&vmlinux), &vmlinux);
    fs_err::write(&request.kernel, samples::bzimage("6.1.0", &packed)).unwrap();
    let built = build_bundle(&request, &dir.path().join("out")).unwrap();
    assert!(fs_err::read(built.dir.join("vmlinux")).unwrap() == vmlinux);
}

#[test]
fn what_cannot_be_a_bundle_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let good = request(dir.path(), RootfsType::Ext4);
    let text = dir.path().join("text");
    fs_err::write(&text, "a text").unwrap();
    let rootfs = |source: &Path| BuildRootfs { source: source.to_owned(), ..good.rootfs.clone() };
    for (request, code) in [
        (BuildBundle { kernel: text.clone(), ..good.clone() }, "INVALID_KERNEL_IMAGE"),
        (BuildBundle { kernel: "/no/kernel".into(), ..good.clone() }, "KERNEL_UNREADABLE"),
        (BuildBundle { arch: Arch::Aarch64, ..good.clone() }, "INVALID_KERNEL_IMAGE"),
        (BuildBundle { initrd: Some("/no/initrd".into()), ..good.clone() }, "INITRD_UNREADABLE"),
        (BuildBundle { rootfs: rootfs(&text), ..good.clone() }, "ROOTFS_SOURCE_UNREADABLE"),
        (
            BuildBundle { rootfs: rootfs(Path::new("/no/root")), ..good.clone() },
            "ROOTFS_SOURCE_UNREADABLE",
        ),
        (
            BuildBundle { boot_args: Some("a\nb".into()), ..good.clone() },
            "INVALID_BASE_IMAGE_MANIFEST",
        ),
    ] {
        let error = build_bundle(&request, &dir.path().join("out")).unwrap_err();
        assert_eq!(error.code(), code, "{error:?}");
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 3, "{error:?}");
    }
    let error = build_bundle(&good, &dir.path().join("files")).unwrap_err();
    assert_eq!(error.code(), "BUNDLE_EXISTS");
}
