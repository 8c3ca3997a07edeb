//! `smartvm snapshot merge`.

use std::path::PathBuf;

use smartvm::snapshot::{SnapshotName, SnapshotStore};
use smartvm_images::signature::SigningKey;

use super::describe::describe;
use crate::failure::Failure;
use crate::printer::Printer;

/// Make a differential snapshot and all that it is built on into a full one
///
/// The others stay as they are. The copy of the memory shares its blocks with the full
/// snapshot's where the file system can do that.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  smartvm snapshot merge later
  smartvm snapshot merge later --into whole --sign secret.pem")]
pub(crate) struct MergeArgs {
    /// The differential snapshot
    name: SnapshotName,
    /// What to call the full one [default: NAME-full]
    #[arg(long, value_name = "NAME")]
    into: Option<SnapshotName>,
    /// Sign it with this secret Ed25519 key, as `openssl genpkey -algorithm ed25519` makes them; the file must
    /// be readable by its owner alone
    #[arg(long, value_name = "KEY")]
    sign: Option<PathBuf>,
}

/// Merges, and shows what became of it.
pub(super) fn perform(
    args: &MergeArgs,
    store: &SnapshotStore,
    printer: Printer,
) -> Result<(), Failure> {
    let into = match &args.into {
        Some(into) => into.clone(),
        None => format!("{}-full", args.name).parse().map_err(|error| {
            Failure::of(&error, "INVALID_SNAPSHOT_NAME", None).with_hint("name it with --into")
        })?,
    };
    let key = args.sign.as_deref().map(SigningKey::read).transpose();
    let merged = match key.map_err(|error| Failure::of(&error, error.code(), error.hint()))? {
        Some(key) => store.merge_and_sign(&args.name, &into, key),
        None => store.merge(&args.name, &into),
    };
    let merged = merged.map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    if printer.wants_json() {
        return printer.json(merged.manifest());
    }
    printer.status(&format!("merged {} into {into}", args.name));
    printer.data(&describe(&merged))
}
