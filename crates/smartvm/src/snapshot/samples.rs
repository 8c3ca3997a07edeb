//! Snapshots for tests, of no guest.

use std::os::fd::AsFd;

use fs_err::File;
use smartvm_firecracker::{FirecrackerVersion, SnapshotFormat};
use smartvm_images::Sha256Digest;
use uuid::Uuid;

use super::compatible::HostIdentity;
use super::extents::write_all_at;
use super::files;
use super::manifest::{
    DriveContent, DriveKind, FileDigest, SavedDrive, SnapshotKind, SnapshotManifest, SnapshotParent,
};
use super::store::SnapshotStore;
use super::stored::Snapshot;
use crate::config::VmConfig;

pub(super) const PAGE: u64 = 4096;
pub(super) const PAGES: u64 = 8;

/// A manifest of a full snapshot that says what can be.
pub(super) fn manifest(name: &str) -> SnapshotManifest {
    let host = HostIdentity::here().unwrap();
    let nothing = FileDigest { size: PAGES * PAGE, sha256: Sha256Digest::of(b"") };
    let config = r#"{"bootSource":{"kernelImagePath":"/kernel"},
        "machineConfig":{"vcpuCount":1,"memSizeMib":1}}"#;
    SnapshotManifest {
        schema_version: SnapshotManifest::SCHEMA_VERSION,
        id: Uuid::new_v4(),
        name: name.parse().unwrap(),
        kind: SnapshotKind::Full,
        parent: None,
        created_at_ms: 1,
        vm_id: "vm".parse().unwrap(),
        firecracker_version: FirecrackerVersion::new(1, 12, 1),
        snapshot_format: SnapshotFormat::new(6, 0, 0),
        architecture: host.architecture,
        host_kernel: host.kernel,
        cpu: host.cpu,
        config: VmConfig::from_json(config).unwrap(),
        memory_size: PAGES * PAGE,
        vmstate: nothing.clone(),
        memory: nothing.clone(),
        drives: vec![SavedDrive {
            drive_id: "rootfs".into(),
            kind: DriveKind::Block,
            path: "drives/rootfs-disk".into(),
            read_only: false,
            content: DriveContent::Captured,
            digest: nothing,
        }],
    }
}

/// Puts a snapshot into the store whose memory has these pages, each filled with one byte.
pub(super) fn put(
    store: &SnapshotStore,
    name: &str,
    parent: Option<&Snapshot>,
    pages: &[(u64, u8)],
) -> Snapshot {
    let mut manifest = manifest(name);
    if let Some(parent) = parent {
        manifest.kind = SnapshotKind::Diff;
        manifest.parent =
            Some(SnapshotParent { name: parent.name().clone(), id: parent.manifest().id });
    }
    let draft = store.draft(&manifest.name).unwrap();
    let memory = File::create(draft.path().join(files::MEMORY)).unwrap();
    memory.set_len(PAGES * PAGE).unwrap();
    for (page, byte) in pages {
        write_all_at(memory.as_fd(), &page_of(*byte), page * PAGE).unwrap();
    }
    fs_err::write(draft.path().join(files::VMSTATE), name).unwrap();
    draft.make_drives_dir().unwrap();
    fs_err::write(draft.drive_path(&manifest.drives[0]), format!("disk of {name}")).unwrap();
    draft.publish(manifest).unwrap()
}

/// A page filled with one byte.
pub(super) fn page_of(byte: u8) -> Vec<u8> {
    vec![byte; PAGE.try_into().unwrap()]
}
