//! `smartvm firecracker use`.

use smartvm_images::{ReleaseStore, ReleaseVersion};

use crate::failure::Failure;
use crate::printer::Printer;

/// Chooses an installed release.
pub(super) fn perform(
    store: &ReleaseStore,
    version: ReleaseVersion,
    printer: Printer,
) -> Result<(), Failure> {
    let release = store.set_default(version);
    let release = release.map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    if printer.wants_json() {
        return printer.json(&release);
    }
    printer.status(&format!("VMs run Firecracker {} from now on", release.version));
    printer.data(&super::describe(&release))
}
