//! Hosted manifests.

use std::sync::Arc;

use serde_json::{Value, json};
use smartvm_images::base_image::{EnsureBaseImage, ManifestLocation, Preset, SourceKind};
use smartvm_images::{ReleaseVersion, Sha256Digest};
use smartvm_testkit::http::{Answer, HttpServer};

use crate::case::{Case, KERNEL, ROOT, ensure, manifest, refused, request};

#[tokio::test]
async fn a_manifest_on_this_host_becomes_a_bundle() {
    let case = Case::new();
    let request = case.local("smartvm-minimal-test");
    let image = ensure(&case.manager(), &request).await;
    let bundle = &image.bundle;
    assert!(!image.was_cached);
    assert_eq!(bundle.preset, Preset::Hosted);
    assert_eq!(bundle.ci_version, "hosted");
    assert_eq!(bundle.bundle_id.as_str(), "smartvm-minimal-test");
    assert_eq!(bundle.firecracker_version, ReleaseVersion::new(1, 15, 1));
    assert_eq!(bundle.source.kind, Some(SourceKind::HostedManifest));
    assert!(bundle.source.manifest_path.as_ref().unwrap().ends_with("smartvm-minimal-test.json"));
    assert_eq!(bundle.boot_args, "console=ttyS0 reboot=k panic=1 pci=off");
    assert_eq!(bundle.kernel_image_path, case.cache().join("smartvm-minimal-test/vmlinux"));
    assert_eq!(fs_err::read(&bundle.kernel_image_path).unwrap(), KERNEL);
    assert_eq!(fs_err::read(&bundle.rootfs_path).unwrap(), ROOT);
    assert!(bundle.rootfs_path.ends_with("rootfs-test.ext4"));
    assert_eq!(bundle.checksums.unwrap().kernel_sha256, Sha256Digest::of(KERNEL));
    assert_eq!(bundle.total_bytes(), Some((KERNEL.len() + ROOT.len()) as u64));
    assert_eq!(case.cached(), ["smartvm-minimal-test"]);

    let written = fs_err::read_to_string(bundle.bundle_dir.join("manifest.json")).unwrap();
    let written: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(written["source"]["type"], "hosted-manifest");
    assert_eq!(written["checksums"]["rootfsSha256"], Sha256Digest::of(ROOT).to_string());
    assert!(written["createdAt"].as_str().unwrap().ends_with('Z'), "{written}");
}

#[tokio::test]
async fn a_manifest_on_a_server_becomes_a_bundle_and_is_then_a_hit() {
    let case = Case::new();
    let mut served = manifest("web-1");
    served["kernel"] =
        json!({ "url": "files/vmlinux", "sha256": Sha256Digest::of(KERNEL).to_string() });
    served["initrd"] =
        json!({ "url": "initramfs", "sha256": Sha256Digest::of(b"ram").to_string() });
    let server = HttpServer::start(move |request| match request.path.as_str() {
        "/a/manifest.json" => {
            let mut served = served.clone();
            let root = format!("http://{}/root", request.header("host").unwrap());
            served["rootfs"] = json!({ "url": root, "sha256": Sha256Digest::of(ROOT).to_string() });
            Answer::new(200, served.to_string())
        }
        "/a/files/vmlinux" => Answer::file(request, &Arc::new(KERNEL.to_vec()), "\"k\""),
        "/root" => Answer::file(request, &Arc::new(ROOT.to_vec()), "\"r\""),
        "/a/initramfs" => Answer::file(request, &Arc::new(b"ram".to_vec()), "\"i\""),
        _ => Answer::not_found(),
    });
    let url = server.url("/a/manifest.json?token=secret").parse().unwrap();
    let request = request(ManifestLocation::Url(url));
    let first = ensure(&case.manager(), &request).await;
    let bundle = &first.bundle;
    assert_eq!(fs_err::read(&bundle.rootfs_path).unwrap(), ROOT);
    assert_eq!(fs_err::read(bundle.initrd_path.as_ref().unwrap()).unwrap(), b"ram");
    let manifest_url = server.url("/a/manifest.json");
    assert_eq!(bundle.source.manifest_url.as_deref(), Some(&*manifest_url));
    let second = ensure(&case.manager(), &request).await;
    assert!(second.was_cached);
    assert!(second.bundle.last_accessed_at >= bundle.last_accessed_at);
    assert_eq!(second.bundle.created_at, bundle.created_at);
    for path in ["/a/files/vmlinux", "/root", "/a/initramfs"] {
        assert_eq!(server.count(path), 1, "{path}");
    }
    let mut forced = request.clone();
    forced.force_download = true;
    assert!(!ensure(&case.manager(), &forced).await.was_cached);
    assert_eq!(server.count("/root"), 2);
}

#[tokio::test]
async fn a_bundle_whose_manifest_now_says_something_else_is_fetched_again() {
    let case = Case::new();
    let request = case.local("changing");
    ensure(&case.manager(), &request).await;
    let mut changed = manifest("changing");
    let new = b"newer root";
    fs_err::write(case.dir.path().join("images/rootfs-test.ext4"), new).unwrap();
    changed["rootfs"]["sha256"] = json!(Sha256Digest::of(new).to_string());
    changed["bootArgs"] = json!("quiet");
    case.write_manifest("changing", &changed);
    let image = ensure(&case.manager(), &request).await;
    assert!(!image.was_cached);
    assert_eq!(fs_err::read(&image.bundle.rootfs_path).unwrap(), new);
    // Words alone need no fetching.
    changed["bootArgs"] = json!("verbose");
    case.write_manifest("changing", &changed);
    let image = ensure(&case.manager(), &request).await;
    assert!(image.was_cached);
    assert_eq!(image.bundle.boot_args, "verbose");
}

#[tokio::test]
async fn artifacts_that_are_not_what_the_manifest_says_leave_no_bundle() {
    let case = Case::new();
    case.local("wrong");
    for (pointer, value) in [
        ("/kernel/sha256", json!("0".repeat(64))),
        ("/rootfs/sizeBytes", json!(1)),
        ("/rootfs/path", json!("not-there")),
    ] {
        let mut wrong = manifest("wrong");
        *wrong.pointer_mut(pointer).unwrap() = value;
        let request = request(ManifestLocation::Path(case.write_manifest("wrong", &wrong)));
        let error = refused(&case.manager(), &request).await;
        assert_eq!(error.code(), "BASE_IMAGE_PREPARE_FAILED", "{pointer}");
        assert!(case.cached().is_empty(), "{pointer}: {:?}", case.cached());
    }
}

#[tokio::test]
async fn manifests_that_break_rules_or_cannot_be_had_are_told_apart() {
    let case = Case::new();
    let manager = case.manager();
    let mut aarch64 = manifest("b");
    aarch64["arch"] = json!("aarch64");
    let mut traversal = manifest("b");
    traversal["kernel"]["fileName"] = json!("../vmlinux");
    let mut unhashed = manifest("b");
    unhashed["kernel"] = json!({ "url": "https://example.com/vmlinux" });
    for broken in [aarch64, traversal, unhashed] {
        let path = case.write_manifest("b", &broken);
        let error = refused(&manager, &request(ManifestLocation::Path(path))).await;
        assert_eq!(error.code(), "INVALID_BASE_IMAGE_MANIFEST", "{error}");
    }
    let path = case.dir.path().join("images/b.json");
    fs_err::write(&path, "{").unwrap();
    let error = refused(&manager, &request(ManifestLocation::Path(path))).await;
    assert_eq!(error.code(), "BASE_IMAGE_MANIFEST_FAILED");
    let missing = request(ManifestLocation::Path("/no/manifest.json".into()));
    assert_eq!(refused(&manager, &missing).await.code(), "BASE_IMAGE_MANIFEST_FAILED");
    let server = HttpServer::start(|_| Answer::not_found());
    let missing = request(ManifestLocation::Url(server.url("/m.json").parse().unwrap()));
    assert_eq!(refused(&manager, &missing).await.code(), "BASE_IMAGE_MANIFEST_FAILED");
    let hosted = EnsureBaseImage { preset: Preset::Hosted, ..EnsureBaseImage::default() };
    assert_eq!(refused(&manager, &hosted).await.code(), "BASE_IMAGE_MANIFEST_FAILED");
    assert!(case.cached().is_empty());
}

#[tokio::test]
async fn a_manifest_of_the_manager_wins_over_a_preset() {
    let case = Case::new();
    let EnsureBaseImage { manifest, .. } = case.local("managers");
    let manager = case.manager_with(|options| options.manifest = manifest);
    let request = EnsureBaseImage { preset: Preset::Lts, ..EnsureBaseImage::default() };
    assert_eq!(ensure(&manager, &request).await.bundle.bundle_id.as_str(), "managers");
}
