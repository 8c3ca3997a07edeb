//! `smartvm rootfs`: images of root file systems.
//!
//! An image is named by a path, or, without a slash, by its name in the data directory's `rootfs`.
//! With `--json`, `create` prints `{"path":"…","size":BYTES}`, `clone` `path`, `method`,
//! `bytesCopied` and `size`, `resize` `path`, `formerSize` and `size`, `list` an array of `name`, `path`, `size` and
//! `allocated`, and `rm` `{"removed":"PATH"}`.

mod clone;
mod create;
mod list;
mod place;
mod resize;
mod rm;

use clap::Subcommand;

use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::leaving;
use crate::printer::Printer;
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  smartvm rootfs create data --size 4G
  smartvm rootfs clone ./debian.ext4 web
  smartvm rootfs resize web --size 8G
  smartvm rootfs list
  smartvm rootfs rm web

An image without a slash is in the data directory, below rootfs.";

/// Create, clone, resize, list and remove images of root file systems
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RootfsArgs {
    #[command(subcommand)]
    pub(crate) verb: RootfsVerb,
}

/// What to do with images.
#[derive(Debug, Subcommand)]
pub(crate) enum RootfsVerb {
    Create(create::CreateArgs),
    Clone(clone::CloneArgs),
    Resize(resize::ResizeArgs),
    /// List the images in the data directory
    #[command(after_help = "Examples:\n  smartvm rootfs list\n  smartvm rootfs list --json")]
    List,
    Rm(rm::RmArgs),
}

/// Does what the verb says.
pub(crate) fn perform(
    verb: &RootfsVerb,
    settings: &Settings,
    printer: Printer,
) -> Result<Exit, Failure> {
    if !matches!(verb, RootfsVerb::List | RootfsVerb::Rm(_)) {
        settings.admit_image()?;
        leaving::remove_drafts_on_signals()?;
    }
    match verb {
        RootfsVerb::Create(args) => create::perform(args, settings, printer)?,
        RootfsVerb::Clone(args) => clone::perform(args, settings, printer)?,
        RootfsVerb::Resize(args) => resize::perform(args, settings, printer)?,
        RootfsVerb::List => list::perform(settings, printer)?,
        RootfsVerb::Rm(args) => rm::perform(args, settings, printer)?,
    }
    Ok(Exit::Ok)
}
