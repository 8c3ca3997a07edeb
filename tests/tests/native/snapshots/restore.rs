//! What was saved goes on.

use smartvm::snapshot::{DriveContent, MemoryBackend, RestoreVm, SnapshotKind};
use smartvm::{VmState, VsockConfig};
use smartvm_testkit::tiny_guest::TinyGuest;

use super::{CreateSnapshot, entries, full, guest, name, restored, runs, snapshot};
use crate::support::Bench;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_runs_on_after_its_snapshot_and_goes_on_from_it() {
    let bench = Bench::new();
    let vm = guest(&bench).await;
    let snapshot = vm.create_snapshot(full("one")).await.unwrap();
    assert_eq!(vm.state(), VmState::Running);
    runs(&vm).await;
    assert_eq!(entries(&bench), ["one"]);
    let manifest = snapshot.manifest();
    assert_eq!((manifest.kind, manifest.memory_size), (SnapshotKind::Full, 32 << 20));
    assert_eq!(manifest.vm_id, *vm.id());
    assert_eq!(manifest.firecracker_version.to_string(), "1.12.1");
    let drives: Vec<_> = manifest.drives.iter().map(|drive| &drive.content).collect();
    let shared = DriveContent::Shared { path: bench.file("shared") };
    assert_eq!(drives, [&DriveContent::Captured, &shared]);
    vm.cleanup().await.unwrap();

    for backend in [MemoryBackend::File, MemoryBackend::Uffd] {
        let mut request = RestoreVm::new(name("one"));
        request.backend = backend;
        let vm = restored(&bench, request).await.unwrap();
        assert_eq!(vm.state(), VmState::Running, "{backend:?}");
        runs(&vm).await;
        // What goes on can be saved again, and go on from there.
        let again = format!("again-{backend:?}");
        vm.create_snapshot(full(&again)).await.unwrap();
        runs(&vm).await;
        vm.cleanup().await.unwrap();
        let vm = restored(&bench, RestoreVm::new(name(&again))).await.unwrap();
        runs(&vm).await;
        vm.cleanup().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clones_of_one_snapshot_run_side_by_side_on_drives_of_their_own() {
    let bench = Bench::new();
    let snapshot = snapshot(&bench, "one").await;
    let captured = snapshot.dir().join("drives/own");
    let mut vms = Vec::new();
    for (number, backend) in [MemoryBackend::File, MemoryBackend::Uffd].repeat(3).iter().enumerate()
    {
        let mut request = RestoreVm::new(name("one"));
        request.id = Some(format!("clone-{number}").parse().unwrap());
        request.backend = *backend;
        vms.push(restored(&bench, request).await.unwrap());
    }
    for vm in &vms {
        runs(vm).await;
        let own = vm.runtime_dir().join("drives/own-own");
        fs_err::write(&own, vm.id().as_str()).unwrap();
    }
    for vm in &vms {
        let own = vm.runtime_dir().join("drives/own-own");
        assert_eq!(fs_err::read_to_string(own).unwrap(), vm.id().as_str());
    }
    assert_eq!(fs_err::read(captured).unwrap(), vec![1; 64 << 10]);
    bench.smartvm.snapshots().unwrap().remove(&name("one")).unwrap();
    for vm in &vms {
        runs(vm).await;
        vm.cleanup().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_clone_listens_on_a_vsock_of_its_own_without_being_told_where() {
    let bench = Bench::new();
    let mut config = bench.config(&TinyGuest::echoes());
    let reachable = bench.file("v.sock");
    config.vsock = Some(VsockConfig { guest_cid: 3, uds_path: Some(reachable.clone()) });
    let source = bench.smartvm.create_vm(&config).unwrap();
    source.start().await.unwrap();
    source.create_snapshot(full("one")).await.unwrap();
    let mut vms = vec![source];
    for _ in 0..2 {
        vms.push(restored(&bench, RestoreVm::new(name("one"))).await.unwrap());
    }
    for vm in &vms {
        runs(vm).await;
        // Firecracker of that VM answers; nobody in this guest would.
        std::os::unix::net::UnixStream::connect(vm.runtime_dir().join("vsock.sock")).unwrap();
    }
    let first = fs_err::canonicalize(&reachable).unwrap();
    assert_eq!(first, vms[0].runtime_dir().join("vsock.sock"), "the source keeps its own place");
    for vm in &vms {
        vm.cleanup().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_guest_stays_paused_and_one_can_be_kept_so() {
    let bench = Bench::new();
    let vm = guest(&bench).await;
    let mut request = full("kept");
    request.keep_paused = true;
    vm.create_snapshot(request).await.unwrap();
    assert_eq!(vm.state(), VmState::Paused);
    vm.create_snapshot(full("again")).await.unwrap();
    assert_eq!(vm.state(), VmState::Paused);
    vm.resume().await.unwrap();
    runs(&vm).await;
    vm.cleanup().await.unwrap();

    let mut request = RestoreVm::new(name("kept"));
    request.resume = false;
    let vm = restored(&bench, request).await.unwrap();
    assert_eq!(vm.state(), VmState::Paused);
    vm.resume().await.unwrap();
    runs(&vm).await;
    vm.cleanup().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_without_a_name_gets_one() {
    let bench = Bench::new();
    let vm = guest(&bench).await;
    let snapshot = vm.create_snapshot(CreateSnapshot::default()).await.unwrap();
    assert!(snapshot.name().as_str().starts_with(vm.id().as_str()));
    vm.cleanup().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_whose_memory_cannot_be_given_to_it_is_ended() {
    let bench = Bench::new();
    let snapshot = snapshot(&bench, "one").await;
    let mut request = RestoreVm::new(name("one"));
    request.backend = MemoryBackend::Uffd;
    let vm = bench.smartvm.restore_vm(request).unwrap();
    // The disk loses the memory after it was verified, while the guest stands still.
    let mut request = RestoreVm::new(name("one"));
    request.backend = MemoryBackend::Uffd;
    request.resume = false;
    request.id = Some("paused".parse().unwrap());
    let paused = restored(&bench, request).await.unwrap();
    let memory = fs_err::OpenOptions::new().write(true).open(snapshot.memory_path()).unwrap();
    memory.set_len(0).unwrap();
    // It may be gone before the answer.
    let _ = paused.resume().await;
    let end = tokio::time::timeout(super::DEADLINE, paused.wait()).await.unwrap().unwrap();
    assert_eq!(end.cause, smartvm::EndCause::MemoryLost);
    assert_eq!(paused.state(), VmState::Error);
    assert_eq!(vm.start().await.unwrap_err().code(), "SNAPSHOT_TAMPERED");
    assert_eq!(bench.vm_dirs(), Vec::<std::path::PathBuf>::new());
}

/// A paused guest whose memory comes page by page, of a snapshot whose memory is gone by now.
async fn guest_without_memory(bench: &Bench) -> smartvm::MicroVm {
    let snapshot = snapshot(bench, "one").await;
    let mut request = RestoreVm::new(name("one"));
    request.backend = MemoryBackend::Uffd;
    request.resume = false;
    let vm = restored(bench, request).await.unwrap();
    let memory = fs_err::OpenOptions::new().write(true).open(snapshot.memory_path()).unwrap();
    memory.set_len(0).unwrap();
    vm
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_that_waits_for_lost_memory_ends_at_once_and_so_does_the_guest() {
    let bench = Bench::new();
    let vm = guest_without_memory(&bench).await;
    let saving = tokio::time::timeout(super::DEADLINE, vm.create_snapshot(full("two")));
    assert_eq!(saving.await.unwrap().unwrap_err().code(), "UFFD_FAILED");
    let end = tokio::time::timeout(super::DEADLINE, vm.wait()).await.unwrap().unwrap();
    assert_eq!(end.cause, smartvm::EndCause::MemoryLost);
    assert_eq!(entries(&bench), ["one"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_does_not_wait_for_a_guest_whose_memory_is_lost() {
    let bench = Bench::new();
    let vm = guest_without_memory(&bench).await;
    let patience = std::time::Duration::from_secs(600);
    tokio::time::timeout(super::DEADLINE, vm.stop_within(patience)).await.unwrap().unwrap();
    vm.cleanup().await.unwrap();
}
