//! What it says and writes when it is to be saved.

use std::os::unix::fs::MetadataExt;

use smartvm::snapshot::{MemoryBackend, RestoreVm};

use super::{Lair, within};
use crate::snapshots::{full, name};

/// Asks it for a snapshot, and returns the code of the refusal. Nothing of the snapshot is there then.
async fn refused(lie: &str) -> String {
    let lair = Lair::new();
    let vm = lair.started(lie).await;
    let asked = within("a snapshot", vm.create_snapshot(full("one"))).await;
    let error = asked.err().unwrap_or_else(|| panic!("{lie} was saved"));
    let store = lair.bench.smartvm.snapshots().unwrap();
    assert_eq!(fs_err::read_dir(store.dir()).unwrap().count(), 0, "{lie} left something");
    lair.ends(vm).await;
    error.code().to_owned()
}

#[tokio::test]
async fn one_that_does_as_it_is_told_is_saved() {
    let lair = Lair::new();
    let vm = lair.started("obeys").await;
    let snapshot = within("a snapshot", vm.create_snapshot(full("one"))).await.unwrap();
    for path in [snapshot.memory_path(), snapshot.vmstate_path()] {
        let found = fs_err::metadata(path).unwrap();
        assert_eq!((found.uid(), found.mode() & 0o7777), (0, 0o644));
    }
    lair.ends(vm).await;
}

#[tokio::test]
async fn a_file_of_the_host_that_it_names_as_its_drive_is_not_saved() {
    for lie in ["names-shadow", "names-kmsg", "names-target", "names-thousands"] {
        assert_eq!(refused(lie).await, "SNAPSHOT_DRIVE_UNSUITABLE", "{lie}");
    }
}

#[tokio::test]
async fn what_it_puts_in_the_place_of_the_memory_is_not_saved() {
    for lie in
        ["saves-nothing", "saves-link", "saves-link-of-both", "saves-pipe", "saves-directory"]
    {
        assert_eq!(refused(lie).await, "SNAPSHOT_FAILED", "{lie}");
    }
}

#[tokio::test]
async fn a_memory_and_a_state_without_measure_get_no_name_and_are_not_read_to_their_end() {
    for lie in ["saves-too-much", "saves-huge-state"] {
        assert_eq!(refused(lie).await, "SNAPSHOT_FAILED", "{lie}");
    }
}

#[tokio::test]
async fn names_that_it_planted_lead_a_save_nowhere() {
    let lair = Lair::new();
    let vm = lair.started("plants-names").await;
    // The names are taken away before they are used; what it makes after that only it has.
    let _ = within("a snapshot", vm.create_snapshot(full("one"))).await;
    lair.ends(vm).await;
}

#[tokio::test]
async fn a_link_in_place_of_the_socket_of_its_memory_is_removed_and_nothing_behind_it() {
    let lair = Lair::new();
    let vm = lair.started("obeys").await;
    within("a snapshot", vm.create_snapshot(full("one"))).await.unwrap();
    within("cleanup", vm.cleanup()).await.unwrap();
    let mut request = RestoreVm::new(name("one"));
    request.id = Some("moves-uffd".parse().unwrap());
    request.backend = MemoryBackend::Uffd;
    let restored = lair.bench.smartvm.restore_vm(request).unwrap();
    within("a restore", restored.start()).await.unwrap();
    lair.ends(restored).await;
}
