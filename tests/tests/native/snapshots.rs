//! Snapshots of guests of a few bytes: made, loaded, refused, interrupted.

mod command;
mod damage;
mod differential;
mod failures;
mod pmem;
mod restore;
mod signed;

use std::time::Duration;

use smartvm::firecracker::Console;
use smartvm::snapshot::{CreateSnapshot, RestoreVm, Snapshot, SnapshotName};
use smartvm::{MicroVm, SmartVmError};
use smartvm_testkit::tiny_guest::TinyGuest;

use crate::support::{Bench, drive};

/// How long a guest may take to answer.
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn name(text: &str) -> SnapshotName {
    text.parse().unwrap()
}

pub(crate) fn full(text: &str) -> CreateSnapshot {
    CreateSnapshot::full(name(text))
}

/// Shows that the guest runs, and that it is this one: it sends back what only it was told.
async fn echoes(console: &Console, text: &str) {
    let mut reader = console.reader();
    console.write(text.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(text.as_bytes()) {
        let chunk = tokio::time::timeout(DEADLINE, reader.next()).await;
        seen.extend(chunk.expect("the guest answers").expect("the guest lives").bytes);
    }
}

pub(crate) async fn runs(vm: &MicroVm) {
    echoes(&vm.console().unwrap(), vm.id().as_str()).await;
}

/// A running guest that answers, with a drive that it may write to and one that it may not.
pub(crate) async fn guest(bench: &Bench) -> MicroVm {
    let mut config = bench.config(&TinyGuest::echoes());
    let (own, shared) = (bench.file("own"), bench.file("shared"));
    fs_err::write(&own, vec![1; 64 << 10]).unwrap();
    fs_err::write(&shared, vec![2; 64 << 10]).unwrap();
    config.drives = vec![drive("own", &own), drive("shared", &shared)];
    config.drives[1].is_read_only = Some(true);
    config.machine_config.track_dirty_pages = Some(true);
    let vm = bench.smartvm.create_vm(&config).unwrap();
    vm.start().await.unwrap();
    vm
}

/// A snapshot of such a guest, which is gone.
async fn snapshot(bench: &Bench, text: &str) -> Snapshot {
    let vm = guest(bench).await;
    let snapshot = vm.create_snapshot(full(text)).await.unwrap();
    vm.cleanup().await.unwrap();
    snapshot
}

async fn restored(bench: &Bench, request: RestoreVm) -> Result<MicroVm, SmartVmError> {
    let vm = bench.smartvm.restore_vm(request)?;
    vm.start().await?;
    Ok(vm)
}

/// The entries of the snapshots' directory, half-made ones too.
fn entries(bench: &Bench) -> Vec<String> {
    let dir = bench.home.data_dir().join("snapshots");
    let Ok(entries) = fs_err::read_dir(dir) else { return Vec::new() };
    let entries = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut entries: Vec<_> = entries.collect();
    entries.sort();
    entries
}
