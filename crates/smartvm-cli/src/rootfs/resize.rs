//! `smartvm rootfs resize`.

use std::path::PathBuf;

use smartvm_images::{ResizeTo, resize_rootfs};

use super::place;
use crate::failure::Failure;
use crate::image_size::SizeMib;
use crate::printer::Printer;
use crate::settings::Settings;

/// Make an ext4 image larger, or as small as its files allow
///
/// The work is done on a copy that takes the image's place when it is whole, so a VM that is using
/// the image keeps the former one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  smartvm rootfs resize web --size 8G
  smartvm rootfs resize ./web.ext4 --minimum")]
pub(crate) struct ResizeArgs {
    /// The image: a name, or a path with a slash
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
    /// Its new size in MiB, or as 512M or 4G; not less than what it has
    #[arg(long, value_name = "SIZE", required_unless_present = "minimum")]
    size: Option<SizeMib>,
    /// Make it as small as its files allow
    #[arg(long, conflicts_with = "size")]
    minimum: bool,
}

pub(super) fn perform(
    args: &ResizeArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<(), Failure> {
    let place = place::of(&args.image, settings)?;
    let to = args.size.map_or(ResizeTo::Minimum, |size| ResizeTo::Mib(size.0));
    let resized = resize_rootfs(&place, to, &settings.host_tools())
        .map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    if printer.wants_json() {
        return printer.json(&resized);
    }
    let (before, after) = (resized.former_size >> 20, resized.size >> 20);
    printer.status(&format!("resized from {before} to {after} MiB"));
    printer.data(&resized.path.display().to_string())
}
