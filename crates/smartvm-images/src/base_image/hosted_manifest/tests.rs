use serde_json::{Value, json};

use super::*;
use crate::Sha256Digest;

/// The example of the original, with a host of ours.
fn example() -> Value {
    json!({
        "schemaVersion": 1,
        "bundleId": "smartvm-minimal-v1-x86_64",
        "name": "SmartVM minimal x86_64 bundle",
        "arch": "x86_64",
        "firecrackerVersion": "v1.15.1",
        "rootfsType": "ext4",
        "rootfsIsReadOnly": false,
        "bootArgs": "console=ttyS0 reboot=k panic=1 pci=off",
        "kernel": {
            "url": "https://assets.example.com/vmlinux",
            "fileName": "vmlinux",
            "sha256": "0".repeat(64),
            "sizeBytes": 12_345_678,
        },
        "rootfs": { "path": "/images/rootfs.ext4" },
    })
}

/// The example with one value replaced, by JSON pointer.
fn with(pointer: &str, value: Value) -> Value {
    let mut manifest = example();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    manifest.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
    manifest
}

fn without(pointer: &str) -> Value {
    let mut manifest = example();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    manifest.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
    manifest
}

fn parse(manifest: &Value) -> Result<HostedManifest, ParseManifestError> {
    HostedManifest::parse(manifest.to_string().as_bytes())
}

/// The fields whose rules are broken.
fn broken(manifest: &Value) -> Vec<String> {
    match parse(manifest) {
        Ok(manifest) => panic!("it was taken: {manifest:?}"),
        Err(ParseManifestError::Invalid(error)) => {
            assert_eq!(error.code(), "INVALID_BASE_IMAGE_MANIFEST");
            error.breaches().iter().map(|breach| breach.field().to_owned()).collect()
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_example_of_the_original_is_taken() {
    let manifest = parse(&example()).unwrap();
    assert_eq!(manifest.bundle_id().as_str(), "smartvm-minimal-v1-x86_64");
    assert_eq!(manifest.name(), Some("SmartVM minimal x86_64 bundle"));
    assert_eq!(manifest.arch(), Arch::X86_64);
    assert_eq!(manifest.firecracker_version(), ReleaseVersion::new(1, 15, 1));
    assert_eq!(manifest.rootfs_type(), RootfsType::Ext4);
    assert!(!manifest.rootfs_is_read_only());
    assert_eq!(manifest.boot_args(), "console=ttyS0 reboot=k panic=1 pci=off");
    assert_eq!(manifest.kernel().size_bytes, Some(12_345_678));
    assert_eq!(manifest.kernel().file_name.as_ref().unwrap().as_str(), "vmlinux");
    assert_eq!(manifest.rootfs().sha256(), None);
    assert!(manifest.initrd().is_none());
}

#[test]
fn what_is_written_reads_back_the_same() {
    let manifest = parse(&example()).unwrap();
    assert_eq!(serde_json::to_value(&manifest).unwrap(), example());
    let initrd = Artifact::at_url("initramfs.cpio".parse().unwrap(), Sha256Digest::of(b"i"));
    let manifest = manifest.with_initrd(initrd.of_size(1)).unwrap();
    let text = serde_json::to_vec(&manifest).unwrap();
    assert_eq!(HostedManifest::parse(&text).unwrap(), manifest);
    assert_eq!(serde_json::from_slice::<HostedManifest>(&text).unwrap(), manifest);
}

#[test]
fn every_rule_has_a_breach() {
    let cases = [
        (without("/schemaVersion"), "schemaVersion"),
        (with("/schemaVersion", json!(2)), "schemaVersion"),
        (with("/schemaVersion", json!("1")), "schemaVersion"),
        (without("/bundleId"), "bundleId"),
        (with("/bundleId", json!("")), "bundleId"),
        (with("/bundleId", json!("../x")), "bundleId"),
        (with("/bundleId", json!("a b")), "bundleId"),
        (with("/bundleId", json!(5)), "bundleId"),
        (without("/arch"), "arch"),
        (with("/arch", json!("riscv64")), "arch"),
        (without("/firecrackerVersion"), "firecrackerVersion"),
        (with("/firecrackerVersion", json!("1.15.1")), "firecrackerVersion"),
        (with("/firecrackerVersion", json!("v1.15")), "firecrackerVersion"),
        (without("/rootfsType"), "rootfsType"),
        (with("/rootfsType", json!("xfs")), "rootfsType"),
        (with("/rootfsIsReadOnly", json!("yes")), "rootfsIsReadOnly"),
        (with("/bootArgs", json!("a\nb")), "bootArgs"),
        (with("/bootArgs", json!(["a"])), "bootArgs"),
        (with("/name", json!(1)), "name"),
        (without("/kernel"), "kernel"),
        (with("/kernel", json!("vmlinux")), "kernel"),
        (without("/kernel/url"), "kernel.url"),
        (with("/kernel/path", json!("/vmlinux")), "kernel.url"),
        (with("/kernel/url", json!("file:///vmlinux")), "kernel.url"),
        (with("/kernel/url", json!("../vmlinux")), "kernel.url"),
        (without("/kernel/sha256"), "kernel.sha256"),
        (with("/kernel/sha256", json!("0".repeat(63))), "kernel.sha256"),
        (with("/kernel/sha256", json!("g".repeat(64))), "kernel.sha256"),
        (with("/kernel/sizeBytes", json!(-1)), "kernel.sizeBytes"),
        (with("/kernel/sizeBytes", json!(1.5)), "kernel.sizeBytes"),
        (with("/kernel/sizeBytes", json!("1")), "kernel.sizeBytes"),
        (with("/kernel/fileName", json!("../vmlinux")), "kernel.fileName"),
        (with("/kernel/fileName", json!("..")), "kernel.fileName"),
        (with("/kernel/fileName", json!("")), "kernel.fileName"),
        (with("/kernel/fileName", json!("manifest.json")), "kernel.fileName"),
        (without("/rootfs"), "rootfs"),
        (with("/rootfs/path", json!("a\0b")), "rootfs.path"),
        (with("/rootfs/sha256", json!("x")), "rootfs.sha256"),
        (with("/rootfs/fileName", json!("vmlinux")), "rootfs.fileName"),
        (with("/initrd", json!({})), "initrd.url"),
        (json!([]), "manifest"),
    ];
    for (manifest, field) in cases {
        assert_eq!(broken(&manifest), [field], "{manifest}");
    }
}

#[test]
fn all_breaches_are_told_at_once() {
    let mut manifest = with("/kernel/sizeBytes", json!(-1));
    manifest["arch"] = json!("mips");
    manifest["rootfs"] = json!({});
    assert_eq!(broken(&manifest), ["arch", "kernel.sizeBytes", "rootfs.url"]);
    let text = parse(&manifest).unwrap_err().to_string();
    assert!(text.starts_with("the base image manifest breaks 3 rules: arch: `mips`"), "{text}");
}

#[test]
fn defaults_follow_the_type_of_the_root() {
    let mut manifest = without("/bootArgs");
    manifest.as_object_mut().unwrap().remove("rootfsIsReadOnly");
    assert!(!parse(&manifest).unwrap().rootfs_is_read_only());
    manifest["rootfsType"] = json!("squashfs");
    let squashfs = parse(&manifest).unwrap();
    assert!(squashfs.rootfs_is_read_only());
    assert!(squashfs.boot_args().ends_with(" ro rootfstype=squashfs"));
    let empty = with("/bootArgs", json!(""));
    assert_eq!(parse(&empty).unwrap().boot_args(), "console=ttyS0 reboot=k panic=1 pci=off");
}

#[test]
fn numbers_are_whole_as_the_original_sees_them() {
    for (number, expected) in [(json!(0), 0), (json!(2.0), 2), (json!(1e3), 1000)] {
        let manifest = parse(&with("/kernel/sizeBytes", number)).unwrap();
        assert_eq!(manifest.kernel().size_bytes, Some(expected));
    }
    assert!(parse(&with("/schemaVersion", json!(1.0))).is_ok());
}

#[test]
fn unknown_keys_and_nulls_are_passed_over() {
    let manifest = parse(&with("/later", json!({"a": 1}))).unwrap();
    assert_eq!(manifest, parse(&with("/initrd", Value::Null)).unwrap());
}

#[test]
fn a_text_that_is_no_json_or_too_large_is_no_manifest() {
    let error = HostedManifest::parse(b"{").unwrap_err();
    assert_eq!(error.code(), "BASE_IMAGE_MANIFEST_FAILED");
    let limit = usize::try_from(MAX_MANIFEST_BYTES).unwrap();
    let error = HostedManifest::parse(&vec![b' '; limit + 1]).unwrap_err();
    assert_eq!(error.code(), "BASE_IMAGE_MANIFEST_FAILED");
}

#[test]
fn two_artifacts_cannot_be_one_file() {
    let manifest = parse(&example()).unwrap();
    let twin = Artifact::at_path("/x").named("vmlinux".parse().unwrap());
    let error = manifest.with_initrd(twin).unwrap_err();
    assert_eq!(
        error.breaches()[0].to_string(),
        "initrd.fileName: must differ from kernel.fileName"
    );
}

#[test]
fn the_example_that_comes_with_the_project_is_a_manifest() {
    let text = include_bytes!("../../../../../assets/base-images/smartvm-minimal-v1-x86_64.json");
    let manifest = HostedManifest::parse(text).unwrap();
    let written = serde_json::to_value(&manifest).unwrap();
    assert_eq!(written, serde_json::from_slice::<Value>(text).unwrap());
}
