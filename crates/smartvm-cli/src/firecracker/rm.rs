//! `smartvm firecracker rm`.

use smartvm_images::{ReleaseStore, ReleaseVersion};

use crate::failure::Failure;
use crate::printer::Printer;

/// Removes one release; one that is not there is an error.
pub(super) fn perform(
    store: &ReleaseStore,
    version: ReleaseVersion,
    printer: Printer,
) -> Result<(), Failure> {
    store.delete(version).map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    if printer.wants_json() {
        return printer.json(&serde_json::json!({ "removed": version }));
    }
    printer.status(&format!("removed Firecracker {version}"));
    Ok(())
}
