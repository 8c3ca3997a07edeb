//! `smartvm rootfs create`.

use std::path::PathBuf;

use smartvm_images::create_blank_rootfs;

use super::place;
use crate::failure::Failure;
use crate::image_size::SizeMib;
use crate::printer::Printer;
use crate::settings::Settings;

/// Create an empty ext4 image
///
/// The file is sparse: it takes little more than what is put into it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  smartvm rootfs create data --size 4G
  smartvm rootfs create ./data.ext4 --size 512")]
pub(crate) struct CreateArgs {
    /// Its name, or a path with a slash; must not exist
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
    /// Its size in MiB, or as 512M or 4G
    #[arg(long, value_name = "SIZE")]
    size: SizeMib,
}

pub(super) fn perform(
    args: &CreateArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<(), Failure> {
    let place = place::of_new(&args.image, settings)?;
    let path = create_blank_rootfs(&place, args.size.0, &settings.host_tools())
        .map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    if printer.wants_json() {
        return printer.json(&serde_json::json!({ "path": path, "size": args.size.0 << 20 }));
    }
    printer.data(&path.display().to_string())
}
