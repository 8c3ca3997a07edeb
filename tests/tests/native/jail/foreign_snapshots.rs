//! Snapshots whose manifest a stranger wrote: it has no say in what the VM may do on this host.

use std::os::unix::fs::MetadataExt;

use serde_json::{Value, json};
use smartvm::images::Sha256Digest;
use smartvm::snapshot::{RestoreVm, SharedDrive, Snapshot};

use super::{Jailed, bench, names};
use crate::snapshots::{full, guest, name, runs};
use crate::support::Bench;

/// A snapshot of a jailed guest, its manifest as `change` leaves it.
async fn foreign(bench: &Bench, change: impl FnOnce(&mut Value)) -> Snapshot {
    let vm = guest(bench).await;
    let snapshot = vm.create_snapshot(full("foreign")).await.unwrap();
    vm.cleanup().await.unwrap();
    let path = snapshot.dir().join("manifest.json");
    let mut manifest = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    fs_err::write(path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    snapshot
}

fn request(bench: &Bench) -> RestoreVm {
    let mut request = RestoreVm::new(name("foreign"));
    request.drives = vec![SharedDrive { drive_id: "shared".into(), path: bench.file("shared") }];
    request
}

#[tokio::test]
async fn a_manifest_that_asks_for_no_jail_is_restored_in_one() {
    let bench = bench();
    foreign(&bench, |manifest| manifest["config"]["jail"] = json!({ "enabled": false })).await;
    let vm = bench.smartvm.restore_vm(request(&bench)).unwrap();
    let jailed = Jailed::start(vm).await;
    assert_ne!(jailed.status("Uid"), "0\t0\t0\t0");
    runs(&jailed.vm).await;
    jailed.vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_manifest_chooses_neither_user_nor_network_namespace() {
    let bench = bench();
    let theirs = json!({ "uid": 65_534, "gid": 65_534, "netns": "/no/such/namespace" });
    foreign(&bench, |manifest| manifest["config"]["jail"] = theirs).await;
    let jailed = Jailed::start(bench.smartvm.restore_vm(request(&bench)).unwrap()).await;
    assert!(bench.smartvm.options().uid_range.contains(jailed.uid), "{}", jailed.uid);
    assert_eq!(jailed.uid, jailed.gid);
    jailed.vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_limit_of_a_manifest_holds_when_it_is_the_stricter_one() {
    let bench = bench();
    let theirs = json!({ "enabled": false, "resourceLimits": { "noFile": 100 } });
    foreign(&bench, |manifest| manifest["config"]["jail"] = theirs).await;
    let mut request = request(&bench);
    request.jail.resource_limits.no_file = Some(200);
    let jailed = Jailed::start(bench.smartvm.restore_vm(request).unwrap()).await;
    let limits = fs_err::read_to_string(jailed.proc("limits")).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("100"), "{files}");
    jailed.vm.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_file_of_the_host_that_a_manifest_names_is_not_given_to_the_guest() {
    let bench = bench();
    let secret = bench.file("secret");
    let content = vec![7; 64 << 10];
    fs_err::write(&secret, &content).unwrap();
    let before = fs_err::metadata(&secret).unwrap();
    foreign(&bench, |manifest| {
        let drive = &mut manifest["drives"][1];
        drive["content"] = json!({ "shared": { "path": secret } });
        // As one would have it by a forged stamp, for which the file need not be read.
        drive["digest"]["sha256"] = json!(Sha256Digest::of(&content).to_string());
    })
    .await;
    let refused = bench.smartvm.restore_vm(RestoreVm::new(name("foreign"))).unwrap_err();
    assert_eq!(refused.code(), "SNAPSHOT_DRIVE_UNNAMED");
    let after = fs_err::metadata(&secret).unwrap();
    assert_eq!((after.nlink(), after.uid(), after.mode()), (1, before.uid(), before.mode()));
}

#[tokio::test]
async fn a_drive_that_would_be_in_place_of_what_the_jailer_writes_is_refused() {
    // The jailer copies Firecracker to this name, through whatever link is there.
    let bench = bench();
    foreign(&bench, |manifest| manifest["drives"][1]["path"] = json!("firecracker")).await;
    let refused = bench.smartvm.restore_vm(request(&bench)).unwrap_err();
    assert_eq!(refused.code(), "SNAPSHOT_DAMAGED");
    assert_eq!(fs_err::read(bench.file("shared")).unwrap(), vec![2; 64 << 10]);
}

#[tokio::test]
async fn a_snapshot_whose_memory_is_a_link_to_a_file_of_the_host_is_refused() {
    let bench = bench();
    let snapshot = foreign(&bench, |_| {}).await;
    let elsewhere = bench.file("elsewhere");
    fs_err::rename(snapshot.memory_path(), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, snapshot.memory_path()).unwrap();
    let vm = bench.smartvm.restore_vm(request(&bench)).unwrap();
    assert_eq!(vm.start().await.unwrap_err().code(), "SNAPSHOT_DAMAGED");
    assert_eq!(
        names(bench.home.runtime_dir()).iter().filter(|name| !name.starts_with('.')).count(),
        0
    );
}

#[tokio::test]
async fn a_snapshot_that_was_made_here_goes_on_without_a_word_of_its_files() {
    let bench = bench();
    let vm = guest(&bench).await;
    vm.create_snapshot(full("foreign")).await.unwrap();
    vm.cleanup().await.unwrap();
    let vm = bench.smartvm.restore_vm(RestoreVm::new(name("foreign"))).unwrap();
    vm.start().await.unwrap();
    runs(&vm).await;
    vm.cleanup().await.unwrap();
}
