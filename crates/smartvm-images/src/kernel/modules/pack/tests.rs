use super::*;
use crate::kernel::samples;

const VERSION: &str = "6.1.0-1-test";

fn sample() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    samples::write_modules(dir.path(), VERSION);
    dir
}

fn pack(dir: &Path) -> Result<PackedModules, PackModulesError> {
    pack_modules(dir, &VERSION.parse().unwrap())
}

#[test]
fn modules_are_unpacked_and_lose_the_suffix_of_their_compression() {
    let packed = pack(sample().path()).unwrap();
    assert_eq!(packed.names, ["virtio", "virtio_mmio", "virtio_blk", "squashfs"]);
    assert_eq!(packed.files[2].0, "kernel/block/virtio_blk.ko");
    assert!(packed.files.iter().all(|(_, bytes)| *bytes == samples::module(VERSION)));
    assert_eq!(packed.built_in, ["ext4"]);
    assert!(packed.missing.contains(&"overlay".to_owned()));
}

#[test]
fn modules_of_another_version_are_refused() {
    let dir = sample();
    fs_err::write(dir.path().join("kernel/virtio.ko"), samples::module("6.1.0-2-test")).unwrap();
    let error = pack(dir.path()).unwrap_err();
    assert_eq!(error.code(), "MODULES_WRONG_VERSION");
    assert!(error.to_string().contains("6.1.0-2-test"), "{error}");
}

#[test]
fn a_directory_named_after_another_version_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("5.10.0-9-amd64");
    samples::write_modules(&dir, VERSION);
    assert_eq!(pack(&dir).unwrap_err().code(), "MODULES_WRONG_VERSION");
}

#[test]
fn a_module_that_is_in_the_index_alone_is_missing() {
    let dir = sample();
    fs_err::remove_file(dir.path().join("kernel/virtio_mmio.ko")).unwrap();
    let error = pack(dir.path()).unwrap_err();
    assert_eq!(error.code(), "MODULE_MISSING");
    assert!(error.to_string().contains("virtio_mmio"), "{error}");
}

#[test]
fn a_kernel_without_virtio_drives_is_told_what_it_lacks() {
    let dir = sample();
    fs_err::write(dir.path().join("modules.dep"), "kernel/virtio_mmio.ko:").unwrap();
    let error = pack(dir.path()).unwrap_err();
    assert_eq!(error.code(), "MODULE_MISSING");
    assert!(error.to_string().ends_with("virtio_blk"), "{error}");
}

#[test]
fn a_directory_without_an_index_and_one_with_a_hostile_index_are_refused() {
    let empty = tempfile::tempdir().unwrap();
    let error = pack(empty.path()).unwrap_err();
    assert_eq!(error.code(), "INVALID_MODULES");
    assert!(error.hint().unwrap().contains("/lib/modules/VERSION"));
    let dir = sample();
    fs_err::write(dir.path().join("modules.dep"), "../../etc/virtio_blk.ko:").unwrap();
    assert!(matches!(pack(dir.path()), Err(PackModulesError::ParseIndex(_))));
    assert!(matches!(pack(Path::new("/no/such/place")), Err(PackModulesError::Open { .. })));
}
