//! Base images: presets over a bucket, hosted manifests, the cache.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use smartvm_images::base_image::{
    Arch, BaseImage, BaseImageError, BaseImageManager, BaseImageManagerOptions, BundleId,
    CacheLimit, EnsureBaseImage, ManifestLocation, Preset, RootfsType, SourceKind, Verify,
};
use smartvm_images::{Downloader, DownloaderOptions, ReleaseVersion, Sha256Digest};
use smartvm_testkit::http::{Answer, FakeBucket, FakeReleases, HttpServer};

const KERNEL: &[u8] = b"fresh kernel";
const ROOT: &[u8] = b"fresh root";

struct Case {
    dir: tempfile::TempDir,
}

impl Case {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    fn manager(&self) -> BaseImageManager {
        self.manager_with(|_| ())
    }

    fn manager_with(&self, change: impl FnOnce(&mut BaseImageManagerOptions)) -> BaseImageManager {
        let mut options = BaseImageManagerOptions::new(self.cache());
        options.arch = Arch::X86_64;
        change(&mut options);
        let downloader = Downloader::new(DownloaderOptions {
            tries: 2,
            first_pause: Duration::from_millis(1),
            ..DownloaderOptions::default()
        });
        BaseImageManager::new(options, downloader.unwrap()).unwrap()
    }

    /// A manifest on this host whose artifacts are beside it.
    fn local(&self, id: &str) -> EnsureBaseImage {
        let dir = self.dir.path().join("images");
        fs_err::create_dir_all(&dir).unwrap();
        fs_err::write(dir.join("vmlinux-test"), KERNEL).unwrap();
        fs_err::write(dir.join("rootfs-test.ext4"), ROOT).unwrap();
        let manifest = self.write_manifest(id, &manifest(id));
        request(ManifestLocation::Path(manifest))
    }

    fn write_manifest(&self, id: &str, manifest: &Value) -> PathBuf {
        let path = self.dir.path().join("images").join(format!("{id}.json"));
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, manifest.to_string()).unwrap();
        path
    }

    /// The names in the cache, without its locks.
    fn cached(&self) -> Vec<String> {
        let entries = fs_err::read_dir(self.cache()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != "~locks");
        names.sort();
        names
    }
}

fn request(manifest: ManifestLocation) -> EnsureBaseImage {
    EnsureBaseImage { manifest: Some(manifest), ..EnsureBaseImage::default() }
}

fn manifest(id: &str) -> Value {
    json!({
        "schemaVersion": 1,
        "bundleId": id,
        "name": "a test",
        "arch": "x86_64",
        "firecrackerVersion": "v1.15.1",
        "rootfsType": "ext4",
        "kernel": {
            "path": "vmlinux-test",
            "fileName": "vmlinux",
            "sha256": Sha256Digest::of(KERNEL).to_string(),
            "sizeBytes": KERNEL.len(),
        },
        "rootfs": {
            "path": "rootfs-test.ext4",
            "sha256": Sha256Digest::of(ROOT).to_string(),
            "sizeBytes": ROOT.len(),
        },
    })
}

async fn ensure(manager: &BaseImageManager, request: &EnsureBaseImage) -> BaseImage {
    manager.ensure(request, &()).await.unwrap()
}

async fn refused(manager: &BaseImageManager, request: &EnsureBaseImage) -> BaseImageError {
    manager.ensure(request, &()).await.unwrap_err()
}

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
async fn a_damaged_bundle_is_fetched_again() {
    let case = Case::new();
    let request = case.local("corruption-test");
    let first = ensure(&case.manager(), &request).await.bundle;
    let damages: [(&str, Box<dyn Fn()>); 6] = [
        (
            "another content",
            Box::new(|| fs_err::write(&first.kernel_image_path, "fresh kernex").unwrap()),
        ),
        ("another size", Box::new(|| fs_err::write(&first.rootfs_path, "x").unwrap())),
        ("no file", Box::new(|| fs_err::remove_file(&first.rootfs_path).unwrap())),
        (
            "no description",
            Box::new(|| fs_err::remove_file(first.bundle_dir.join("manifest.json")).unwrap()),
        ),
        (
            "half a description",
            Box::new(|| fs_err::write(first.bundle_dir.join("manifest.json"), "{").unwrap()),
        ),
        (
            "a link",
            Box::new(|| {
                fs_err::remove_file(&first.rootfs_path).unwrap();
                std::os::unix::fs::symlink("/etc/hostname", &first.rootfs_path).unwrap();
            }),
        ),
    ];
    for (damage, make) in damages {
        assert!(ensure(&case.manager(), &request).await.was_cached, "before {damage}");
        make();
        let again = ensure(&case.manager(), &request).await;
        assert!(!again.was_cached, "{damage}");
        assert_eq!(fs_err::read(&again.bundle.kernel_image_path).unwrap(), KERNEL, "{damage}");
        assert_eq!(fs_err::read(&again.bundle.rootfs_path).unwrap(), ROOT, "{damage}");
        assert_eq!(case.cached(), ["corruption-test"], "{damage}");
    }
}

#[tokio::test]
async fn a_description_that_leads_out_of_its_bundle_is_damage() {
    let case = Case::new();
    let request = case.local("escape");
    let bundle = ensure(&case.manager(), &request).await.bundle;
    let path = bundle.bundle_dir.join("manifest.json");
    let original: Value = serde_json::from_str(&fs_err::read_to_string(&path).unwrap()).unwrap();
    for (key, value) in [
        ("kernelImagePath", json!("/etc/passwd")),
        ("rootfsPath", json!(format!("{}/../x", bundle.bundle_dir.display()))),
        ("bundleId", json!("another")),
        ("checksums", Value::Null),
        ("sizes", Value::Null),
    ] {
        let mut changed = original.clone();
        changed[key] = value;
        fs_err::write(&path, changed.to_string()).unwrap();
        let error = case.manager().cached(&"escape".parse().unwrap()).await.unwrap_err();
        assert_eq!(error.code(), "BASE_IMAGE_DAMAGED", "{key}");
        assert!(!ensure(&case.manager(), &request).await.was_cached, "{key}");
    }
}

#[tokio::test]
async fn a_cache_that_was_moved_still_has_its_bundles() {
    let case = Case::new();
    ensure(&case.manager(), &case.local("moved")).await;
    let elsewhere = case.dir.path().join("elsewhere");
    fs_err::rename(case.cache(), &elsewhere).unwrap();
    let manager = case.manager_with(|options| options.cache_dir = elsewhere.clone());
    let image = manager.cached(&"moved".parse().unwrap()).await.unwrap();
    assert_eq!(image.bundle.kernel_image_path, elsewhere.join("moved/vmlinux"));
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

/// A bucket with what the CI of a version made.
fn fill(bucket: &FakeBucket, ci: &str, names: &[&str]) {
    for name in names {
        let key = format!("firecracker-ci/{ci}/x86_64/{name}");
        bucket.put(&key, format!("content of {ci} {name}"));
    }
}

fn ci_manager(case: &Case, releases: &FakeReleases, bucket: &FakeBucket) -> BaseImageManager {
    case.manager_with(|options| {
        options.releases = releases.url().parse().unwrap();
        options.bucket = bucket.url().parse().unwrap();
    })
}

#[tokio::test]
async fn latest_is_what_the_ci_of_the_latest_release_made() {
    let (case, releases, bucket) =
        (Case::new(), FakeReleases::start("v1.12.1"), FakeBucket::start(3));
    fill(
        &bucket,
        "v1.12",
        &[
            "debug/vmlinux-6.1.999",
            "ubuntu-22.04.ext4",
            "ubuntu-24.04.squashfs",
            "ubuntu-24.04.manifest",
            "vmlinux-5.10.233",
            "vmlinux-5.10.233-no-acpi",
            "vmlinux-6.1.99",
            "vmlinux-6.1.128",
            "vmlinux-6.1.128.config",
            "vmlinux-6.18.1",
        ],
    );
    fill(&bucket, "v1.9", &["vmlinux-6.1.1", "ubuntu-22.04.squashfs"]);
    let image = ensure(&ci_manager(&case, &releases, &bucket), &EnsureBaseImage::default()).await;
    let bundle = &image.bundle;
    assert_eq!(
        bundle.bundle_id.as_str(),
        "latest-v1.12-x86_64-vmlinux-6.1.128-ubuntu-24.04.squashfs"
    );
    assert_eq!(bundle.firecracker_version, ReleaseVersion::new(1, 12, 1));
    assert_eq!((bundle.rootfs_type, bundle.rootfs_is_read_only), (RootfsType::Squashfs, true));
    assert_eq!(bundle.boot_args, "console=ttyS0 reboot=k panic=1 pci=off ro rootfstype=squashfs");
    assert_eq!(bundle.source.kind, Some(SourceKind::FirecrackerCi));
    let key = "firecracker-ci/v1.12/x86_64/vmlinux-6.1.128";
    assert_eq!(bundle.source.kernel_key.as_deref(), Some(key));
    assert_eq!(
        fs_err::read_to_string(&bundle.kernel_image_path).unwrap(),
        "content of v1.12 vmlinux-6.1.128"
    );
    assert!(bucket.server().count("/bucket/") > 2, "the listing has pages");
    assert!(
        ensure(&ci_manager(&case, &releases, &bucket), &EnsureBaseImage::default())
            .await
            .was_cached
    );
}

#[tokio::test]
async fn lts_is_what_the_ci_made_for_1_7_and_asks_for_no_release() {
    let (case, releases, bucket) =
        (Case::new(), FakeReleases::start("v1.12.1"), FakeBucket::start(1000));
    fill(&bucket, "v1.7", &["vmlinux-5.10.209", "vmlinux-6.1.1", "ubuntu-22.04.ext4"]);
    let request = EnsureBaseImage { preset: Preset::Lts, ..EnsureBaseImage::default() };
    let bundle = ensure(&ci_manager(&case, &releases, &bucket), &request).await.bundle;
    assert_eq!(bundle.bundle_id.as_str(), "lts-v1.7-x86_64-vmlinux-5.10.209-ubuntu-22.04.ext4");
    assert_eq!(bundle.firecracker_version, ReleaseVersion::new(1, 7, 0));
    assert!(!bundle.rootfs_is_read_only);
    assert!(releases.server().requests().is_empty());
}

#[tokio::test]
async fn where_a_release_has_no_directory_the_newest_by_date_that_has_all_is_taken() {
    let (case, releases, bucket) =
        (Case::new(), FakeReleases::start("v1.17.0"), FakeBucket::start(2));
    fill(&bucket, "20261101-abc", &["vmlinux-6.1.150", "ubuntu-24.04.squashfs"]);
    fill(&bucket, "20261108-def", &["vmlinux-6.1.151", "vmlinux-6.18.2", "ubuntu-24.04.squashfs"]);
    fill(&bucket, "20261115-aaa", &["vmlinux-6.1.152"]);
    bucket.put("firecracker-ci/20261122-bbb/aarch64/vmlinux-6.1.153", "other");
    fill(&bucket, "v1.15", &["vmlinux-6.1.1", "ubuntu-24.04.squashfs"]);
    fill(&bucket, "firecracker", &["vmlinux-6.1.1", "ubuntu-24.04.squashfs"]);
    let manager = ci_manager(&case, &releases, &bucket);
    let bundle = ensure(&manager, &EnsureBaseImage::default()).await.bundle;
    assert_eq!(bundle.ci_version, "20261108-def");
    assert!(bundle.kernel_image_path.ends_with("vmlinux-6.18.2"));
    // An older Firecracker gets an older kernel, and its own directory where there is one.
    let pinned = case.manager_with(|options| {
        options.bucket = bucket.url().parse().unwrap();
        options.firecracker_version = Some(ReleaseVersion::new(1, 16, 1));
    });
    let bundle = ensure(&pinned, &EnsureBaseImage::default()).await.bundle;
    assert!(bundle.kernel_image_path.ends_with("vmlinux-6.1.151"), "{bundle:?}");
}

#[tokio::test]
async fn older_releases_are_the_last_resort_and_nothing_is_a_failure_that_names_the_places() {
    let (case, releases, bucket) =
        (Case::new(), FakeReleases::start("v1.17.0"), FakeBucket::start(1000));
    let manager = ci_manager(&case, &releases, &bucket);
    fill(&bucket, "v1.17", &["vmlinux-6.1.1"]);
    let error = refused(&manager, &EnsureBaseImage::default()).await;
    assert_eq!(error.code(), "BASE_IMAGE_RESOLVE_FAILED");
    let text = error.to_string();
    assert!(text.contains("firecracker-ci/v1.17/x86_64/ (it has no ubuntu"), "{text}");
    assert!(text.contains("firecracker-ci/v1.14/x86_64/ (it has no kernel"), "{text}");
    fill(&bucket, "v1.15", &["vmlinux-6.1.1", "ubuntu-24.04.squashfs"]);
    let bundle = ensure(&manager, &EnsureBaseImage::default()).await.bundle;
    assert_eq!(bundle.ci_version, "v1.15");

    let html = HttpServer::start(|_| Answer::new(200, "<html></html>"));
    let manager = case.manager_with(|options| options.bucket = html.url("/b").parse().unwrap());
    let request = EnsureBaseImage { preset: Preset::Lts, ..EnsureBaseImage::default() };
    assert_eq!(refused(&manager, &request).await.code(), "BASE_IMAGE_RESOLVE_FAILED");
}

#[tokio::test]
async fn what_has_no_checksum_must_stay_what_it_was_first_seen_as() {
    let (case, releases, bucket) =
        (Case::new(), FakeReleases::start("v1.12.1"), FakeBucket::start(1000));
    fill(&bucket, "v1.7", &["vmlinux-5.10.209", "ubuntu-22.04.ext4"]);
    let manager = ci_manager(&case, &releases, &bucket);
    let mut request = EnsureBaseImage { preset: Preset::Lts, ..EnsureBaseImage::default() };
    let id = ensure(&manager, &request).await.bundle.bundle_id;
    let key = "firecracker-ci/v1.7/x86_64/vmlinux-5.10.209";
    bucket.put(key, "evil");
    // What is in the cache is right.
    assert!(ensure(&manager, &request).await.was_cached);
    manager.delete(&id).unwrap();
    let error = refused(&manager, &request).await;
    assert_eq!(error.code(), "BASE_IMAGE_PREPARE_FAILED");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("when it was first seen, 20"), "{cause}");
    assert!(error.hint().unwrap().contains("--accept-changed"));
    assert_eq!(case.cached(), ["~first-seen.json"]);
    request.accept_changed = true;
    let bundle = ensure(&manager, &request).await.bundle;
    assert_eq!(fs_err::read(&bundle.kernel_image_path).unwrap(), b"evil");
    manager.delete(&id).unwrap();
    request.accept_changed = false;
    ensure(&manager, &request).await;
}

/// A bundle that was used last in January of a year.
fn plant(cache: &Path, id: &str, year: u32) {
    let dir = cache.join(id);
    fs_err::create_dir_all(&dir).unwrap();
    let used = format!("{year}-01-01T00:00:00.000Z");
    let planted = json!({
        "preset": "lts", "arch": "x86_64", "ciVersion": "v1.7", "firecrackerVersion": "v1.7.0",
        "bundleId": id, "bundleDir": dir, "kernelImagePath": dir.join("vmlinux"),
        "rootfsPath": dir.join("rootfs.ext4"), "rootfsType": "ext4", "rootfsIsReadOnly": false,
        "bootArgs": "console=ttyS0 reboot=k panic=1 pci=off",
        "source": { "bucketUrl": "https://host/b", "kernelKey": "kernel", "rootfsKey": "rootfs" },
        "createdAt": used, "lastAccessedAt": used,
    });
    fs_err::write(dir.join("manifest.json"), planted.to_string()).unwrap();
}

#[tokio::test]
async fn the_longest_unused_bundles_are_evicted_and_the_one_asked_for_never_is() {
    let case = Case::new();
    let manager = case.manager();
    for (id, year) in [("old", 2024), ("middle", 2025), ("new", 2026)] {
        plant(&case.cache(), id, year);
    }
    let ids = |bundles: &[BundleId]| bundles.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(ids(&manager.prune(Some(&"new".parse().unwrap())).unwrap()), ["old"]);
    assert_eq!(case.cached(), ["middle", "new"]);
    plant(&case.cache(), "old", 2024);
    assert_eq!(ids(&manager.prune(Some(&"old".parse().unwrap())).unwrap()), ["middle"]);
    assert_eq!(case.cached(), ["new", "old"]);
    let image = ensure(&manager, &case.local("asked")).await;
    assert_eq!(ids(&image.evicted), ["old"]);
    assert_eq!(case.cached(), ["asked", "new"]);
}

#[tokio::test]
async fn a_bundle_in_use_is_neither_evicted_nor_removed() {
    let case = Case::new();
    let manager = case.manager_with(|options| options.max_stored = CacheLimit::new(1).unwrap());
    let used = ensure(&manager, &case.local("used")).await;
    let other = ensure(&manager, &case.local("other")).await;
    assert!(other.evicted.is_empty());
    assert_eq!(case.cached(), ["other", "used"]);
    let error = manager.delete(&used.bundle.bundle_id).unwrap_err();
    assert_eq!(error.code(), "BASE_IMAGE_IN_USE");
    let id = used.bundle.bundle_id.clone();
    drop(used);
    assert_eq!(manager.prune(None).unwrap(), [id]);
    assert_eq!(case.cached(), ["other"]);
}

#[tokio::test]
async fn what_was_left_unfinished_is_pruned() {
    let case = Case::new();
    let manager = case.manager();
    for left in ["~draft-dead", "~trash-dead"] {
        fs_err::create_dir(case.cache().join(left)).unwrap();
        fs_err::write(case.cache().join(left).join("~vmlinux.part"), "half").unwrap();
    }
    // An ensure leaves a fresh draft alone: somebody may go on with it.
    ensure(&manager, &case.local("a")).await;
    assert_eq!(case.cached(), ["a", "~draft-dead"]);
    manager.prune(None).unwrap();
    assert_eq!(case.cached(), ["a"]);
}

#[tokio::test]
async fn bundles_are_listed_shown_verified_and_removed() {
    let case = Case::new();
    let manager = case.manager();
    assert!(manager.list().unwrap().is_empty());
    let a: BundleId = "a".parse().unwrap();
    assert_eq!(manager.get(&a).unwrap_err().code(), "BASE_IMAGE_NOT_FOUND");
    for id in ["a", "b"] {
        ensure(&manager, &case.local(id)).await;
    }
    let listed: Vec<_> = manager.list().unwrap().into_iter().map(|b| b.bundle_id).collect();
    assert_eq!(listed.len(), 2);
    let bundle = manager.verify(&a).unwrap();
    // The same size and, put back, the same time: only hashing would tell without the change time.
    let then = fs_err::metadata(&bundle.rootfs_path).unwrap().modified().unwrap();
    fs_err::write(&bundle.rootfs_path, b"evil! root").unwrap();
    let file = fs_err::OpenOptions::new().write(true).open(&bundle.rootfs_path).unwrap();
    file.file().set_modified(then).unwrap();
    let error = manager.verify(&a).unwrap_err();
    assert_eq!(error.code(), "BASE_IMAGE_DAMAGED");
    assert_eq!(manager.cached(&a).await.unwrap_err().code(), "BASE_IMAGE_DAMAGED");
    manager.delete(&a).unwrap();
    let error = manager.delete(&a).unwrap_err();
    assert_eq!(error.code(), "BASE_IMAGE_NOT_FOUND");
    assert!(error.to_string().contains("there is: b"), "{error}");
}

#[tokio::test]
async fn a_hit_moves_the_time_of_the_last_use() {
    let case = Case::new();
    let manager = case.manager();
    let request = case.local("a");
    let first = ensure(&manager, &request).await.bundle;
    let path = first.bundle_dir.join("manifest.json");
    let text = fs_err::read_to_string(&path).unwrap();
    let mut old: Value = serde_json::from_str(&text).unwrap();
    old["lastAccessedAt"] = json!("2024-01-01T00:00:00.000Z");
    fs_err::write(&path, old.to_string()).unwrap();
    let image = ensure(&manager, &request).await;
    assert!(image.was_cached);
    let recorded = manager.get(&first.bundle_id).unwrap().last_accessed_at;
    assert!(recorded > SystemTime::now() - Duration::from_secs(600));
}

#[tokio::test]
async fn verify_always_hashes_although_nothing_has_changed() {
    let case = Case::new();
    let request = case.local("a");
    let bundle = ensure(&case.manager(), &request).await.bundle;
    // A record of another hash: who believes it takes the bundle, who hashes does not.
    let path = bundle.bundle_dir.join("manifest.json");
    let wrong = Sha256Digest::of(b"wrong").to_string();
    for file in [path, bundle.bundle_dir.join("~verified.json")] {
        let text = fs_err::read_to_string(&file).unwrap();
        fs_err::write(&file, text.replace(&Sha256Digest::of(ROOT).to_string(), &wrong)).unwrap();
    }
    let id = bundle.bundle_id;
    case.manager().cached(&id).await.unwrap();
    let strict = case.manager_with(|options| options.verify = Verify::Always);
    assert_eq!(strict.cached(&id).await.unwrap_err().code(), "BASE_IMAGE_DAMAGED");
}

#[tokio::test]
async fn many_callers_cause_one_download_and_all_are_verified() {
    let case = Case::new();
    let kernel = Arc::new(vec![3; 1 << 20]);
    let (served, hash) = (Arc::clone(&kernel), Sha256Digest::of(&kernel));
    let server = HttpServer::start(move |request| match request.path.as_str() {
        "/manifest.json" => {
            let mut served = manifest("many");
            served["kernel"] = json!({ "url": "vmlinux", "sha256": hash.to_string() });
            served["rootfs"] =
                json!({ "url": "root", "sha256": Sha256Digest::of(ROOT).to_string() });
            Answer::new(200, served.to_string())
        }
        "/vmlinux" => Answer::file(request, &served, "\"k\""),
        "/root" => Answer::file(request, &Arc::new(ROOT.to_vec()), "\"r\""),
        _ => Answer::not_found(),
    });
    let request = request(ManifestLocation::Url(server.url("/manifest.json").parse().unwrap()));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        // A manager each, as if they knew nothing of each other.
        let (manager, request) = (case.manager(), request.clone());
        tasks.spawn(async move { manager.ensure(&request, &()).await.unwrap().was_cached });
    }
    let fetched = tasks.join_all().await.into_iter().filter(|was_cached| !was_cached).count();
    assert_eq!((fetched, server.count("/vmlinux"), server.count("/root")), (1, 1, 1));
}
