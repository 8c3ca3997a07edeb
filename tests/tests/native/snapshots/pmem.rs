//! Persistent memory in snapshots, which needs a newer Firecracker than the fixture.

use smartvm::PmemConfig;
use std::path::PathBuf;

use smartvm::snapshot::{CreateSnapshot, DriveContent, DriveKind, RestoreVm};
use smartvm_testkit::fixtures;
use smartvm_testkit::tiny_guest::TinyGuest;

use super::{name, runs};
use crate::support::{Bench, drive};

/// A device whose id a drive has as well.
fn pmem(bench: &Bench) -> PmemConfig {
    let content = bench.file("content");
    fs_err::write(&content, vec![b'p'; 2 << 20]).unwrap();
    PmemConfig { id: "data".into(), path_on_host: content, ..PmemConfig::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a newer Firecracker: SMARTVM_NEWER_FIRECRACKER"]
async fn persistent_memory_is_saved_by_a_newer_firecracker() {
    saved_by(fixtures::newer_firecracker()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn persistent_memory_is_refused_where_there_is_none() {
    let bench = Bench::new();
    let mut config = bench.config(&TinyGuest::echoes());
    config.pmem = vec![pmem(&bench)];
    let vm = bench.smartvm.create_vm(&config).unwrap();
    assert_eq!(vm.start().await.unwrap_err().code(), "FIRECRACKER_TOO_OLD");
    vm.cleanup().await.unwrap();
}

async fn saved_by(newer: PathBuf) {
    let bench = Bench::with(|options| options.firecracker_binary_path = Some(newer));
    let disk = bench.file("disk");
    fs_err::write(&disk, vec![b'd'; 64 << 10]).unwrap();
    let mut config = bench.config(&TinyGuest::echoes());
    config.drives = vec![drive("data", &disk)];
    config.pmem = vec![pmem(&bench)];
    let vm = bench.smartvm.create_vm(&config).unwrap();
    vm.start().await.unwrap();
    let snapshot = vm.create_snapshot(CreateSnapshot::full(name("one"))).await.unwrap();
    vm.cleanup().await.unwrap();
    let saved: Vec<_> =
        snapshot.manifest().drives.iter().map(|it| (it.kind, &it.content)).collect();
    let captured = &DriveContent::Captured;
    assert_eq!(saved, [(DriveKind::Block, captured), (DriveKind::Pmem, captured)]);
    assert_eq!(fs_err::read(snapshot.dir().join("drives/pmem-data")).unwrap(), [b'p'; 2 << 20]);
    assert_eq!(fs_err::read(snapshot.dir().join("drives/data")).unwrap(), [b'd'; 64 << 10]);

    let mut clones = Vec::new();
    for id in ["first", "second"] {
        let mut request = RestoreVm::new(name("one"));
        request.id = Some(id.parse().unwrap());
        let vm = bench.smartvm.restore_vm(request).unwrap();
        vm.start().await.unwrap();
        runs(&vm).await;
        fs_err::write(vm.runtime_dir().join("pmem/data"), id).unwrap();
        clones.push(vm);
    }
    for vm in clones {
        let own = fs_err::read_to_string(vm.runtime_dir().join("pmem/data")).unwrap();
        assert_eq!(own, vm.id().as_str());
        vm.cleanup().await.unwrap();
    }
}
