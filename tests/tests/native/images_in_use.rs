//! One image, one writer; and what a VM has files of is not removed.

use std::path::{Path, PathBuf};

use smartvm::images::base_image::{BaseImageManager, BundleId};
use smartvm::images::{HostTools, ResizeTo, clone_rootfs, create_blank_rootfs, resize_rootfs};
use smartvm::snapshot::{CreateSnapshot, RestoreVm};
use smartvm::{DriveConfig, DriveUpdate, MicroVm, SmartVmError};
use smartvm_testkit::tiny_guest::TinyGuest;

use crate::support::{Bench, drive, whole};

fn image(bench: &Bench) -> PathBuf {
    let path = bench.file("root.ext4");
    create_blank_rootfs(&path, 16, &HostTools::default()).unwrap()
}

fn persistent(path: &Path) -> DriveConfig {
    DriveConfig { ephemeral: Some(false), ..drive("data", path) }
}

fn read_only(path: &Path) -> DriveConfig {
    DriveConfig { is_read_only: Some(true), ..drive("data", path) }
}

async fn start(bench: &Bench, id: &str, drive: DriveConfig) -> Result<MicroVm, SmartVmError> {
    let mut config = bench.config(&TinyGuest::halts());
    config.id = Some(id.to_owned());
    config.drives = vec![drive];
    let vm = bench.smartvm.create_vm(&config).unwrap();
    vm.start().await?;
    Ok(vm)
}

/// Asserts that an image is in use by VM `by`, and what was asked for was refused for that reason.
fn assert_in_use(error: SmartVmError, by: &str) {
    assert_eq!(error.code(), "IMAGE_IN_USE", "{}", whole(&error));
    assert!(whole(&error).contains(&format!("VM `{by}`")), "{}", whole(&error));
}

#[tokio::test]
async fn an_image_that_a_vm_writes_to_is_nobody_else_s_until_it_has_ended() {
    let (bench, others) = (Bench::new(), Bench::new());
    let path = image(&bench);
    let writer = start(&bench, "writer", persistent(&path)).await.unwrap();
    for (bench, drive) in [
        (&bench, persistent(&path)),
        (&others, persistent(&path)),
        (&others, read_only(&path)),
        // A private copy would be made in the middle of a change.
        (&others, drive("data", &path)),
    ] {
        assert_in_use(start(bench, "other", drive).await.unwrap_err(), "writer");
    }
    let tools = HostTools::default();
    let resized = resize_rootfs(&path, ResizeTo::Mib(32), &tools).unwrap_err();
    assert_eq!(resized.code(), "IMAGE_IN_USE");
    assert!(resized.to_string().contains("root.ext4"), "{resized}");
    let cloned = clone_rootfs(&path, &bench.file("copy")).unwrap_err();
    assert_eq!(cloned.code(), "IMAGE_IN_USE");
    let onto =
        clone_rootfs(&bench.config(&TinyGuest::halts()).boot_source.kernel_image_path, &path);
    assert_eq!(onto.unwrap_err().code(), "IMAGE_IN_USE");
    assert_eq!(create_blank_rootfs(&path, 16, &tools).unwrap_err().code(), "IMAGE_IN_USE");

    writer.cleanup().await.unwrap();
    resize_rootfs(&path, ResizeTo::Mib(32), &tools).unwrap();
    let next = start(&others, "next", persistent(&path)).await.unwrap();
    next.cleanup().await.unwrap();
}

#[tokio::test]
async fn an_image_is_read_by_many_and_written_by_none_of_them() {
    let bench = Bench::new();
    let path = image(&bench);
    let readers = [
        start(&bench, "first", read_only(&path)).await.unwrap(),
        start(&bench, "second", read_only(&path)).await.unwrap(),
        start(&bench, "copy", drive("data", &path)).await.unwrap(),
    ];
    assert_in_use(start(&bench, "writer", persistent(&path)).await.unwrap_err(), "first");
    for reader in readers {
        reader.cleanup().await.unwrap();
    }
    start(&bench, "writer", persistent(&path)).await.unwrap().cleanup().await.unwrap();
}

#[tokio::test]
async fn a_drive_s_image_is_taken_and_let_go_as_it_changes() {
    let bench = Bench::new();
    let path = image(&bench);
    let [other, third] = ["other", "third"].map(|name| {
        let copy = bench.file(name);
        clone_rootfs(&path, &copy).unwrap();
        copy
    });
    let vm = start(&bench, "changing", persistent(&path)).await.unwrap();
    let holder = start(&bench, "holder", persistent(&other)).await.unwrap();
    let to =
        |path: &Path| DriveUpdate { path_on_host: Some(path.to_owned()), ..Default::default() };
    assert_in_use(vm.update_drive("data", to(&other)).await.unwrap_err(), "holder");
    // As after it was made larger.
    vm.update_drive("data", to(&path)).await.unwrap();
    assert_in_use(start(&bench, "early", persistent(&path)).await.unwrap_err(), "changing");
    vm.update_drive("data", to(&third)).await.unwrap();
    start(&bench, "free", persistent(&path)).await.unwrap().cleanup().await.unwrap();
    assert_in_use(start(&bench, "late", persistent(&third)).await.unwrap_err(), "changing");
    vm.cleanup().await.unwrap();
    holder.cleanup().await.unwrap();
}

/// A cache of base images with one that has a file, which nothing else is known of.
fn base_image(bench: &Bench) -> (BaseImageManager, BundleId, PathBuf) {
    let images = bench.smartvm.base_images().unwrap();
    let cache = bench.home.data_dir().join("base-images");
    fs_err::create_dir_all(cache.join("web")).unwrap();
    fs_err::create_dir_all(cache.join("~locks")).unwrap();
    let path = cache.join("web/rootfs.ext4");
    fs_err::write(&path, vec![7; 1 << 16]).unwrap();
    (images, "web".parse().unwrap(), path)
}

fn assert_kept(images: &BaseImageManager, id: &BundleId) {
    assert_eq!(images.delete(id).unwrap_err().code(), "BASE_IMAGE_IN_USE");
}

#[tokio::test]
async fn a_base_image_is_kept_while_a_drive_that_was_changed_has_it() {
    let bench = Bench::new();
    let own = bench.file("own");
    fs_err::write(&own, vec![7; 1 << 16]).unwrap();
    let (images, id, path) = base_image(&bench);
    let vm = start(&bench, "changing", read_only(&own)).await.unwrap();
    let to =
        |path: &Path| DriveUpdate { path_on_host: Some(path.to_owned()), ..Default::default() };
    vm.update_drive("data", to(&path)).await.unwrap();
    assert_kept(&images, &id);
    vm.update_drive("data", to(&own)).await.unwrap();
    images.delete(&id).unwrap();
    vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_base_image_is_kept_while_a_restored_vm_has_it() {
    let bench = Bench::new();
    let (images, id, path) = base_image(&bench);
    let vm = start(&bench, "saved", read_only(&path)).await.unwrap();
    let name: smartvm::snapshot::SnapshotName = "kept".parse().unwrap();
    vm.create_snapshot(CreateSnapshot::full(name.clone())).await.unwrap();
    vm.cleanup().await.unwrap();
    let restored = bench.smartvm.restore_vm(RestoreVm::new(name)).unwrap();
    restored.start().await.unwrap();
    assert_kept(&images, &id);
    restored.cleanup().await.unwrap();
    images.delete(&id).unwrap();
}
