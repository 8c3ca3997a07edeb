//! What is not what was saved, or cannot go on here, is refused before Firecracker is asked.

use serde_json::{Value, json};
use smartvm::snapshot::{RestoreVm, SharedDrive, Verify};

use super::{name, restored, runs, snapshot};
use crate::support::Bench;

/// What must be said of a snapshot whose manifest was changed: it was not made here.
fn shared(bench: &Bench) -> SharedDrive {
    SharedDrive { drive_id: "shared".into(), path: bench.file("shared") }
}

async fn refused(bench: &Bench) -> String {
    let mut request = RestoreVm::new(name("one"));
    request.drives = vec![shared(bench)];
    let error = restored(bench, request).await.expect_err("it is not right");
    assert_eq!(bench.vm_dirs(), Vec::<std::path::PathBuf>::new(), "{error}");
    error.code().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_changed_is_refused() {
    let bench = Bench::new();
    let snapshot = snapshot(&bench, "one").await;
    let files = [
        snapshot.vmstate_path(),
        snapshot.memory_path(),
        snapshot.dir().join("drives/own"),
        bench.file("shared"),
    ];
    for file in files {
        let original = fs_err::read(&file).unwrap();
        let mut changed = original.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        fs_err::write(&file, &changed).unwrap();
        assert_eq!(refused(&bench).await, "SNAPSHOT_TAMPERED", "{}", file.display());
        fs_err::write(&file, &original).unwrap();
    }
    let mut request = RestoreVm::new(name("one"));
    request.verify = Verify::Always;
    let vm = restored(&bench, request).await.unwrap();
    runs(&vm).await;
    vm.cleanup().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_of_another_world_is_refused() {
    let bench = Bench::new();
    let snapshot = snapshot(&bench, "one").await;
    let path = snapshot.dir().join("manifest.json");
    let original: Value = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
    let other = |change: &dyn Fn(&mut Value)| {
        let mut manifest = original.clone();
        change(&mut manifest);
        fs_err::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    };
    other(&|it| it["snapshotFormat"] = json!("8.0.0"));
    assert_eq!(refused(&bench).await, "SNAPSHOT_WRONG_FORMAT");
    other(&|it| it["architecture"] = json!("riscv64"));
    assert_eq!(refused(&bench).await, "SNAPSHOT_WRONG_ARCH");
    other(&|it| it["cpu"]["flags"] = json!(["fpu", "a_flag_of_the_future"]));
    assert_eq!(refused(&bench).await, "SNAPSHOT_WRONG_CPU");
    other(&|it| it["vmstate"]["sha256"] = json!("0".repeat(64)));
    assert_eq!(refused(&bench).await, "SNAPSHOT_TAMPERED");
    other(&|it| it["drives"][0]["path"] = json!("../../../etc/x"));
    assert_eq!(refused(&bench).await, "SNAPSHOT_DAMAGED");
    other(&|it| it["unknown"] = json!(1));
    assert_eq!(refused(&bench).await, "SNAPSHOT_DAMAGED");
    fs_err::write(&path, "{").unwrap();
    assert_eq!(refused(&bench).await, "SNAPSHOT_DAMAGED");

    other(&|it| it["cpu"]["flags"] = json!(["fpu", "a_flag_of_the_future"]));
    let mut request = RestoreVm::new(name("one"));
    request.accept_other_cpu = true;
    request.drives = vec![shared(&bench)];
    let vm = restored(&bench, request).await.unwrap();
    runs(&vm).await;
    vm.cleanup().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_this_firecracker_does_not_know_is_refused_by_name_and_version() {
    let bench = Bench::new();
    snapshot(&bench, "one").await;
    let mut request = RestoreVm::new(name("one"));
    request.clock_realtime = true;
    let error = restored(&bench, request).await.unwrap_err();
    assert_eq!(error.code(), "FIRECRACKER_TOO_OLD");
    assert!(error.to_string().contains("clock_realtime") && error.to_string().contains("1.14.4"));
    let mut request = RestoreVm::new(name("one"));
    request.vsock_override = Some("v.sock".into());
    let error = restored(&bench, request).await.unwrap_err();
    assert!(error.to_string().contains("1.16.0"), "{error}");
    assert_eq!(bench.vm_dirs(), Vec::<std::path::PathBuf>::new());
}
