//! `smartvm rootfs list`.

use indicatif::HumanBytes;
use smartvm_images::{KeptRootfs, list_rootfs};

use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::Settings;

/// Prints every image of the data directory on a line of its own; nothing when there is none.
pub(super) fn perform(settings: &Settings, printer: Printer) -> Result<(), Failure> {
    let dir = settings.rootfs_dir();
    let images = list_rootfs(&dir).map_err(|error| {
        Failure::new("ROOTFS_LIST_FAILED", format!("failed to read `{}`", dir.display()))
            .caused_by(&error)
    })?;
    if printer.wants_json() {
        return printer.json(&images);
    }
    if images.is_empty() {
        printer.status("no images yet; `smartvm rootfs create` makes one");
        return Ok(());
    }
    printer.data(&table(&images))
}

fn table(images: &[KeptRootfs]) -> String {
    let width = images.iter().map(|image| image.name.len()).max().unwrap_or(0).max(4);
    let mut lines = vec![format!("{:width$}  {:>10}  {:>10}", "NAME", "SIZE", "ON DISK")];
    for image in images {
        let (size, allocated) = (HumanBytes(image.size), HumanBytes(image.allocated));
        // Padding does not reach into what they print.
        let (size, allocated) = (size.to_string(), allocated.to_string());
        lines.push(format!("{:width$}  {size:>10}  {allocated:>10}", image.name));
    }
    lines.join("\n")
}
