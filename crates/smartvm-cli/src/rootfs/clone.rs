//! `smartvm rootfs clone`.

use std::path::PathBuf;

use smartvm_images::{StagingMethod, clone_rootfs};

use super::place;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::Settings;

/// Copy an image, sharing its blocks where the file system can do that
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  smartvm rootfs clone ./debian.ext4 web
  smartvm rootfs clone web ./backup.ext4")]
pub(crate) struct CloneArgs {
    /// The image to copy: a name, or a path with a slash
    #[arg(value_name = "SOURCE")]
    source: PathBuf,
    /// The copy: a name, or a path with a slash; must not exist
    #[arg(value_name = "TARGET")]
    target: PathBuf,
}

pub(super) fn perform(
    args: &CloneArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<(), Failure> {
    let source = place::of(&args.source, settings)?;
    let path = place::of_new(&args.target, settings)?;
    let how = clone_rootfs(&source, &path)
        .map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    if printer.wants_json() {
        return printer.json(&serde_json::json!({
            "path": path,
            "method": how.method,
            "bytesCopied": how.bytes_copied,
            "size": how.size,
        }));
    }
    printer.status(match how.method {
        StagingMethod::Reflink => "cloned, sharing its blocks",
        StagingMethod::Copy => "copied, holes left out",
    });
    printer.data(&path.display().to_string())
}
