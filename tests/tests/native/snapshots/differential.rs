//! What has changed since another snapshot.

use smartvm::snapshot::{CreateSnapshot, RestoreVm, SnapshotKind};
use smartvm_testkit::tiny_guest::TinyGuest;

use super::{entries, full, guest, name, restored, runs};
use crate::support::Bench;

fn diff(text: &str, base: &str) -> CreateSnapshot {
    CreateSnapshot::diff(name(text), name(base))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_differences_merges_to_a_guest_that_goes_on() {
    let bench = Bench::new();
    let vm = guest(&bench).await;
    vm.create_snapshot(full("base")).await.unwrap();
    runs(&vm).await;
    let first = vm.create_snapshot(diff("first", "base")).await.unwrap();
    assert_eq!(first.manifest().kind, SnapshotKind::Diff);
    assert!(first.bytes_on_disk() < 8 << 20, "{} bytes", first.bytes_on_disk());
    runs(&vm).await;
    vm.create_snapshot(diff("second", "first")).await.unwrap();
    // Any other base would lose what was written meanwhile.
    for base in ["base", "first"] {
        let error = vm.create_snapshot(diff("third", base)).await.unwrap_err();
        assert_eq!(error.code(), "SNAPSHOT_WRONG_BASE", "{error}");
    }
    vm.cleanup().await.unwrap();

    let request = RestoreVm::new(name("second"));
    assert_eq!(restored(&bench, request).await.unwrap_err().code(), "SNAPSHOT_IS_DIFF");
    let store = bench.smartvm.snapshots().unwrap();
    store.merge(&name("second"), &name("whole")).unwrap();
    for needed in ["second", "first", "base"] {
        store.remove(&name(needed)).unwrap();
    }
    let mut request = RestoreVm::new(name("whole"));
    request.track_dirty_pages = true;
    let vm = restored(&bench, request).await.unwrap();
    runs(&vm).await;
    // The chain goes on from what was restored.
    vm.create_snapshot(diff("fourth", "whole")).await.unwrap();
    vm.cleanup().await.unwrap();
    store.merge(&name("fourth"), &name("last")).unwrap();
    let vm = restored(&bench, RestoreVm::new(name("last"))).await.unwrap();
    runs(&vm).await;
    vm.cleanup().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_difference_needs_tracking_and_a_base_of_the_same_guest() {
    let bench = Bench::new();
    let untracked = bench.started(&TinyGuest::echoes()).await;
    untracked.create_snapshot(full("base")).await.unwrap();
    let error = untracked.create_snapshot(diff("change", "base")).await.unwrap_err();
    assert_eq!(error.code(), "SNAPSHOT_NOT_TRACKED");
    let other = guest(&bench).await;
    let error = other.create_snapshot(diff("change", "base")).await.unwrap_err();
    assert_eq!(error.code(), "SNAPSHOT_WRONG_BASE");
    let error = other.create_snapshot(diff("change", "nothing")).await.unwrap_err();
    assert_eq!(error.code(), "SNAPSHOT_NOT_FOUND");
    runs(&untracked).await;
    runs(&other).await;
    assert_eq!(entries(&bench), ["base"]);
    untracked.cleanup().await.unwrap();
    other.cleanup().await.unwrap();
}
