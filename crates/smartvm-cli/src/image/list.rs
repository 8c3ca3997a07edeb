//! `smartvm image list`.

use indicatif::HumanBytes;
use smartvm_images::base_image::BaseImageBundle;

use super::source::ImageSourceArgs;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::Settings;

/// Prints every base image on a line of its own, the last used first; nothing when there is none.
pub(super) fn perform(settings: &Settings, printer: Printer) -> Result<(), Failure> {
    let manager = ImageSourceArgs::default().manager(settings)?;
    let bundles = manager.list().map_err(super::failed)?;
    if printer.wants_json() {
        return printer.json(&bundles);
    }
    if bundles.is_empty() {
        printer.status("no base images yet; `smartvm image pull` fetches one");
        return Ok(());
    }
    printer.data(&table(&bundles))
}

fn table(bundles: &[BaseImageBundle]) -> String {
    let width = bundles.iter().map(|bundle| bundle.bundle_id.as_str().len()).max().unwrap_or(0);
    let mut lines = vec![format!("{:width$}  {:>10}  {:8}  FOR", "ID", "SIZE", "ROOT")];
    for bundle in bundles {
        let size = bundle.total_bytes();
        let size = size.map_or("-".to_owned(), |bytes| HumanBytes(bytes).to_string());
        lines.push(format!(
            "{:width$}  {size:>10}  {:8}  {} {}",
            bundle.bundle_id.as_str(),
            bundle.rootfs_type.as_str(),
            bundle.firecracker_version,
            bundle.arch
        ));
    }
    lines.join("\n")
}
