//! `smartvm snapshot show`.

use smartvm::snapshot::{SnapshotName, SnapshotStore, Verify};

use super::describe::describe;
use crate::failure::Failure;
use crate::printer::Printer;

/// Prints what is known of one snapshot, and compares its files with that when asked to.
pub(super) fn perform(
    store: &SnapshotStore,
    name: &SnapshotName,
    verify: bool,
    printer: Printer,
) -> Result<(), Failure> {
    let snapshot =
        store.get(name).map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    if verify {
        snapshot
            .verify(Verify::Always)
            .map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
        printer.status(&format!("snapshot {name} is what was saved"));
    }
    if printer.wants_json() {
        return printer.json(snapshot.manifest());
    }
    printer.data(&describe(&snapshot))
}
