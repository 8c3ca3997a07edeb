//! `smartvm kernel rm`.

use smartvm_images::{KernelStore, KernelStoreError};

use crate::failure::Failure;
use crate::printer::Printer;

/// Removes one kernel; a name that is not there is an error.
pub(super) fn perform(store: &KernelStore, name: &str, printer: Printer) -> Result<(), Failure> {
    let failed = |error: KernelStoreError| Failure::of(&error, error.code(), error.hint());
    if !store.remove(name).map_err(failed)? {
        // Asking for it gives the error that names the kernels there are.
        store.get(name).map_err(failed)?;
    }
    if printer.wants_json() {
        return printer.json(&serde_json::json!({ "removed": name }));
    }
    printer.status(&format!("removed kernel {name}"));
    Ok(())
}
