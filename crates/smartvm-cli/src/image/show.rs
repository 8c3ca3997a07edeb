//! `smartvm image show`.

use smartvm_images::base_image::BundleId;

use super::source::ImageSourceArgs;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::Settings;

/// Prints what is known of one base image.
pub(super) fn perform(id: &BundleId, settings: &Settings, printer: Printer) -> Result<(), Failure> {
    let manager = ImageSourceArgs::default().manager(settings)?;
    let bundle = manager.get(id).map_err(super::failed)?;
    if printer.wants_json() {
        printer.json(&bundle)
    } else {
        printer.data(&super::describe(&bundle))
    }
}
