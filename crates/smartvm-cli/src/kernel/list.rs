//! `smartvm kernel list`.

use smartvm_images::{KernelStore, StoredKernel};

use crate::failure::Failure;
use crate::printer::Printer;

/// Prints every kernel on a line of its own; nothing when there is none.
pub(super) fn perform(store: &KernelStore, printer: Printer) -> Result<(), Failure> {
    let kernels = store.list().map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    if printer.wants_json() {
        return printer.json(&kernels);
    }
    if kernels.is_empty() {
        printer.status("no kernels yet; `smartvm kernel import` takes one in");
        return Ok(());
    }
    printer.data(&table(&kernels))
}

fn table(kernels: &[StoredKernel]) -> String {
    let width = kernels.iter().map(|kernel| kernel.name.len()).max().unwrap_or(0).max(4);
    let mut lines = vec![format!("{:width$}  {:>8}  VERSION", "NAME", "MODULES")];
    for kernel in kernels {
        let modules = match kernel.initramfs {
            Some(_) => kernel.modules.len().to_string(),
            None => "-".to_owned(),
        };
        lines.push(format!("{:width$}  {modules:>8}  {}", kernel.name, kernel.version));
    }
    lines.join("\n")
}
