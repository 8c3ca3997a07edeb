//! `smartvm firecracker list`.

use smartvm_images::{InstalledRelease, ReleaseStore};

use crate::failure::Failure;
use crate::printer::Printer;

/// Prints every release on a line of its own; nothing when there is none.
pub(super) fn perform(store: &ReleaseStore, printer: Printer) -> Result<(), Failure> {
    let releases = store.list().map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    if printer.wants_json() {
        return printer.json(&releases);
    }
    if releases.is_empty() {
        printer.status("no releases yet; `smartvm firecracker install` fetches one");
        return Ok(());
    }
    printer.data(&table(&releases))
}

fn table(releases: &[InstalledRelease]) -> String {
    let width = releases.iter().map(|release| release.version.to_string().len()).max();
    let width = width.unwrap_or(0).max(7);
    let mut lines = vec![format!("{:width$}  USED  PATH", "VERSION")];
    for release in releases {
        let used = if release.is_default { "yes" } else { "-" };
        let path = release.firecracker.display();
        lines.push(format!("{:width$}  {used:4}  {path}", release.version.to_string()));
    }
    lines.join("\n")
}
