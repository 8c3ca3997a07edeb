//! Presets, over a bucket.

use smartvm_images::ReleaseVersion;
use smartvm_images::base_image::{
    BaseImageManager, EnsureBaseImage, Preset, RootfsType, SourceKind,
};
use smartvm_testkit::http::{Answer, FakeBucket, FakeReleases, HttpServer};

use crate::case::{Case, ensure, refused};

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
