//! `smartvm snapshot rm`.

use smartvm::snapshot::{SnapshotName, SnapshotStore};

use crate::failure::Failure;
use crate::printer::Printer;

/// Removes one snapshot; a name that is not there is an error.
pub(super) fn perform(
    store: &SnapshotStore,
    name: &SnapshotName,
    printer: Printer,
) -> Result<(), Failure> {
    store.remove(name).map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    if printer.wants_json() {
        return printer.json(&serde_json::json!({ "removed": name }));
    }
    printer.status(&format!("removed snapshot {name}"));
    Ok(())
}
