//! `smartvm snapshot list`.

use smartvm::snapshot::{Snapshot, SnapshotManifest, SnapshotStore};

use super::describe::age;
use crate::failure::Failure;
use crate::printer::Printer;

/// Prints every snapshot on a line of its own; nothing when there is none.
pub(super) fn perform(store: &SnapshotStore, printer: Printer) -> Result<(), Failure> {
    let snapshots =
        store.list().map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    if printer.wants_json() {
        let manifests: Vec<&SnapshotManifest> = snapshots.iter().map(Snapshot::manifest).collect();
        return printer.json(&manifests);
    }
    if snapshots.is_empty() {
        printer.status("no snapshots yet; `smartvm snapshot create VM` makes one");
        return Ok(());
    }
    printer.data(&table(&snapshots))
}

fn table(snapshots: &[Snapshot]) -> String {
    let names = snapshots.iter().map(|snapshot| snapshot.name().as_str().len());
    let width = names.max().unwrap_or(0).max(4);
    let mut lines = vec![format!(
        "{:width$}  KIND  {:>8}  {:>8}  {:>7}  VM",
        "NAME", "MEMORY", "ON DISK", "AGE"
    )];
    for snapshot in snapshots {
        let manifest = snapshot.manifest();
        lines.push(format!(
            "{:width$}  {:4}  {:>4} MiB  {:>4} MiB  {:>7}  {}",
            manifest.name.as_str(),
            manifest.kind.to_string(),
            manifest.memory_size >> 20,
            snapshot.bytes_on_disk().div_ceil(1 << 20),
            age(manifest.created_at_ms),
            manifest.vm_id,
        ));
    }
    lines.join("\n")
}
