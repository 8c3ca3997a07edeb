//! Snapshots taken in one jail and loaded in others, at once, as other users.

use std::os::unix::fs::MetadataExt;

use smartvm::snapshot::{MemoryBackend, RestoreVm};
use smartvm::{Confinement, DriveConfig};
use smartvm_testkit::tiny_guest::TinyGuest;

use super::{bench, jails};
use crate::snapshots::{full, guest, name, runs};
use crate::support::{Bench, drive};

async fn clones_of_one_snapshot(bench: &Bench, backend: MemoryBackend) {
    let vm = guest(bench).await;
    let snapshot = vm.create_snapshot(full("base")).await.unwrap();
    vm.cleanup().await.unwrap();
    let memory = fs_err::metadata(snapshot.memory_path()).unwrap();
    assert_eq!(memory.uid(), 0, "what was lent to be written was given back");
    let mut clones = Vec::new();
    let mut users = Vec::new();
    for _ in 0..2 {
        let mut request = RestoreVm::new(name("base"));
        request.backend = backend;
        let clone = bench.smartvm.restore_vm(request).unwrap();
        let report = clone.start().await.unwrap();
        let Some(Confinement::Jailed { uid, root, .. }) = report.confinement else {
            panic!("not jailed: {report:?}");
        };
        if backend == MemoryBackend::File {
            let inside = fs_err::metadata(root.join("restore.memory")).unwrap();
            assert_eq!(inside.ino(), memory.ino(), "shared, not copied");
        }
        users.push(uid);
        clones.push(clone);
    }
    assert_ne!(users[0], users[1]);
    for clone in clones {
        runs(&clone).await;
        clone.cleanup().await.unwrap();
    }
    assert_eq!(jails(bench).len(), 0);
}

#[tokio::test]
async fn a_guest_saved_in_one_jail_goes_on_in_two_others() {
    clones_of_one_snapshot(&bench(), MemoryBackend::File).await;
}

#[tokio::test]
async fn memory_that_comes_page_by_page_reaches_a_jail() {
    clones_of_one_snapshot(&bench(), MemoryBackend::Uffd).await;
}

#[tokio::test]
async fn a_drive_that_is_mounted_into_a_jail_is_saved_with_its_content() {
    let bench = bench();
    let other = tempfile::tempdir_in("/var/tmp").unwrap();
    let path = other.path().join("far");
    fs_err::write(&path, vec![7; 1 << 16]).unwrap();
    let mut config = bench.config(&TinyGuest::echoes());
    config.drives = vec![DriveConfig { ephemeral: Some(false), ..drive("far", &path) }];
    let vm = bench.smartvm.create_vm(&config).unwrap();
    vm.start().await.unwrap();
    let snapshot = vm.create_snapshot(full("mounted")).await.unwrap();
    runs(&vm).await;
    vm.cleanup().await.unwrap();
    assert_eq!(fs_err::read(snapshot.dir().join("drives/far")).unwrap(), vec![7; 1 << 16]);
}
