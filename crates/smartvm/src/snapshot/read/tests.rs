use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::snapshot::DriveKind;
use crate::snapshot::samples::manifest;

fn text() -> Vec<u8> {
    serde_json::to_vec(&manifest("one")).unwrap()
}

/// What is wrong with a manifest that was changed.
fn refused(change: impl FnOnce(&mut Value)) -> String {
    let mut value: Value = serde_json::from_slice(&text()).unwrap();
    change(&mut value);
    let error = SnapshotManifest::parse(&serde_json::to_vec(&value).unwrap()).unwrap_err();
    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    format!("{error}: {source}")
}

#[test]
fn what_was_written_is_read_back() {
    assert_eq!(SnapshotManifest::parse(&text()).unwrap().name.as_str(), "one");
    let manifest = manifest("one");
    let again = serde_json::to_vec(&manifest).unwrap();
    assert_eq!(SnapshotManifest::parse(&again).unwrap(), manifest);
}

#[test]
fn a_drive_and_a_persistent_memory_of_one_id_are_two_files() {
    let mut manifest = manifest("one");
    let pmem = SavedDrive {
        kind: DriveKind::Pmem,
        path: "pmem/rootfs".into(),
        ..manifest.drives[0].clone()
    };
    manifest.drives.push(pmem);
    let again = SnapshotManifest::parse(&serde_json::to_vec(&manifest).unwrap()).unwrap();
    assert_eq!(again, manifest);
    assert_eq!(
        again.drives.iter().map(SavedDrive::file_name).collect::<Vec<_>>(),
        ["rootfs", "pmem-rootfs"]
    );
}

#[test]
fn what_would_leave_the_snapshot_is_refused() {
    for path in [
        "/etc/passwd",
        "../x",
        "drives/../../x",
        "",
        "drives/a\0b",
        "./x",
        // What is ours beside it, and what the jailer copies to.
        "record.json",
        "firecracker",
        "firecracker.sock",
        "restore.memory",
        "drives",
        "drives/",
        "drives/.",
        "drives/..",
        "drives/a/b",
        "pmem/x",
    ] {
        let said = refused(|value| value["drives"][0]["path"] = json!(path));
        assert!(said.contains("a drive at"), "{path}: {said}");
    }
    for id in ["", "..", "a/b", "-"] {
        let said = refused(|value| value["drives"][0]["driveId"] = json!(id));
        assert!(said.contains("a drive"), "{id}: {said}");
    }
    let said = refused(|value| value["name"] = json!("../x"));
    assert!(said.contains("snapshot name"), "{said}");
    let said = refused(|value| value["vmId"] = json!(".."));
    assert!(said.contains("VM id"), "{said}");
    let said = refused(|value| {
        value["drives"][0]["content"] = json!({"shared": {"path": "relative"}});
    });
    assert!(said.contains("a shared drive"), "{said}");
}

#[test]
fn what_contradicts_itself_is_refused() {
    let said = refused(|value| {
        let drive = value["drives"][0].clone();
        value["drives"] = json!([drive, drive]);
    });
    assert!(said.contains("a drive"), "{said}");
    let said = refused(|value| value["kind"] = json!("diff"));
    assert!(said.contains("wrong parent"), "{said}");
    let said = refused(|value| value["memorySize"] = json!(1));
    assert!(said.contains("memory file"), "{said}");
    let said = refused(|value| value["config"]["machineConfig"]["memSizeMib"] = json!(1_u64 << 44));
    assert!(said.contains("more memory than was saved"), "{said}");
    let said = refused(|value| value["memory"]["sha256"] = json!("x"));
    assert!(said.contains("hexadecimal"), "{said}");
}

#[test]
fn another_form_and_an_unknown_key_are_refused() {
    assert!(refused(|value| value["schemaVersion"] = json!(2)).contains("has form 2"));
    assert!(refused(|value| value["extra"] = json!(1)).contains("unknown field"));
    assert!(refused(|value| value["config"]["extra"] = json!(1)).contains("configuration"));
    let long = vec![b' '; (MAX_BYTES + 1).try_into().unwrap()];
    assert!(matches!(SnapshotManifest::parse(&long), Err(ReadManifestError::TooLarge)));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_fail_otherwise(
        place in 0_usize..2048, byte in any::<u8>(), cut in 0_usize..2048,
    ) {
        let mut text = text();
        let place = place % text.len();
        text[place] = byte;
        text.truncate(text.len().saturating_sub(cut / 16));
        let _ = SnapshotManifest::parse(&text);
    }
}
