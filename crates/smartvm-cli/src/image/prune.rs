//! `smartvm image prune`.

use super::source::ImageSourceArgs;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::Settings;

/// Remove the base images beyond the number that is kept, and unfinished downloads
///
/// The longest unused go first; none in use goes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  smartvm image prune\n  smartvm image prune --max-stored-images 1"
)]
pub(crate) struct PruneArgs {
    #[command(flatten)]
    source: ImageSourceArgs,
}

/// Prunes and names what went.
pub(super) fn perform(
    args: &PruneArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<(), Failure> {
    let removed = args.source.manager(settings)?.prune(None).map_err(super::failed)?;
    if printer.wants_json() {
        return printer.json(&serde_json::json!({ "removed": removed }));
    }
    for id in &removed {
        printer.status(&format!("removed base image {id}"));
    }
    if removed.is_empty() {
        printer.status("nothing to remove");
    }
    Ok(())
}
