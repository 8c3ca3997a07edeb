//! `smartvm kernel show`.

use smartvm_images::KernelStore;

use crate::failure::Failure;
use crate::printer::Printer;

/// Prints what is known of one kernel.
pub(super) fn perform(store: &KernelStore, name: &str, printer: Printer) -> Result<(), Failure> {
    let kernel =
        store.get(name).map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    if printer.wants_json() {
        return printer.json(&kernel);
    }
    let modules = kernel.modules.iter().map(|module| format!("\nmodule     {module}"));
    printer.data(&format!("{}{}", super::describe(&kernel), modules.collect::<String>()))
}
