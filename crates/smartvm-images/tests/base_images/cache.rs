//! The cache: damage, retention, many at once.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use smartvm_images::Sha256Digest;
use smartvm_images::base_image::{BundleId, CacheLimit, ManifestLocation, Verify};
use smartvm_testkit::http::{Answer, HttpServer};

use crate::case::{Case, KERNEL, ROOT, ensure, manifest, request};

/// What is done to a bundle, in words and in deed.
type Damage<'a> = (&'a str, Box<dyn Fn() + 'a>);

#[tokio::test]
async fn a_damaged_bundle_is_fetched_again() {
    let case = Case::new();
    let request = case.local("corruption-test");
    let first = ensure(&case.manager(), &request).await.bundle;
    let damages: [Damage<'_>; 6] = [
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
