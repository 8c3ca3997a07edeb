//! `smartvm image`: what guests boot from, as bundles of a kernel and a root file system.
//!
//! With `--json`, `build` prints an object with `dir`, `manifestPath`, `manifest` and `lost`.

mod build;

use clap::Subcommand;

use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  smartvm image build --kernel 6.1.0-56-amd64 --rootfs ./tree --type ext4 --id web-1 --out web-1";

/// Make base images
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ImageArgs {
    #[command(subcommand)]
    pub(crate) verb: ImageVerb,
}

/// What to do with base images.
#[derive(Debug, Subcommand)]
pub(crate) enum ImageVerb {
    Build(Box<build::BuildArgs>),
}

/// Does what the verb says.
pub(crate) fn perform(
    verb: &ImageVerb,
    settings: &Settings,
    printer: Printer,
) -> Result<Exit, Failure> {
    match verb {
        ImageVerb::Build(args) => build::perform(args, settings, printer)?,
    }
    Ok(Exit::Ok)
}
