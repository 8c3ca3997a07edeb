//! `smartvm image rm`.

use smartvm_images::base_image::BundleId;

use super::source::ImageSourceArgs;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::Settings;

/// Removes one base image; an id that is not there, or in use, is an error.
pub(super) fn perform(id: &BundleId, settings: &Settings, printer: Printer) -> Result<(), Failure> {
    ImageSourceArgs::default().manager(settings)?.delete(id).map_err(super::failed)?;
    if printer.wants_json() {
        return printer.json(&serde_json::json!({ "removed": id }));
    }
    printer.status(&format!("removed base image {id}"));
    Ok(())
}
