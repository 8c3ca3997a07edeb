//! `smartvm rootfs rm`.

use std::path::PathBuf;

use smartvm_images::remove_rootfs;

use super::place;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::Settings;

/// Remove an image
///
/// One that a VM uses stays.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  smartvm rootfs rm web
  smartvm rootfs rm ./web.ext4")]
pub(crate) struct RmArgs {
    /// The image: a name, or a path with a slash
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
}

pub(super) fn perform(args: &RmArgs, settings: &Settings, printer: Printer) -> Result<(), Failure> {
    let path = place::of(&args.image, settings)?;
    remove_rootfs(&path).map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    if printer.wants_json() {
        return printer.json(&serde_json::json!({ "removed": path }));
    }
    printer.status(&format!("removed {}", path.display()));
    Ok(())
}
