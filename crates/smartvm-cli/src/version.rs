//! `smartvm version`: what runs here.
//!
//! With `--json`: `{"smartvm":"0.1.0","firecracker":{"path":"…","version":"1.12.1"}}`,
//! where `firecracker` is null when there is none that answers.

use serde::Serialize;

use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::run::runtime;
use crate::settings::Settings;

pub(crate) const AFTER_HELP: &str = "\
Examples:
  smartvm version
  smartvm version --json

With --json: {\"smartvm\":\"0.1.0\",\"firecracker\":{\"path\":\"…\",\"version\":\"1.12.1\"}},
where firecracker is null when there is none that answers.";

#[derive(Debug, Serialize)]
struct Versions {
    smartvm: &'static str,
    firecracker: Option<Firecracker>,
}

#[derive(Debug, Serialize)]
struct Firecracker {
    path: String,
    version: String,
}

/// Prints the versions. A missing Firecracker is no failure of this verb.
pub(crate) fn perform(settings: &Settings, printer: Printer) -> Result<Exit, Failure> {
    let found = find(settings);
    let firecracker_line = match &found {
        Ok(found) => format!("firecracker {} ({})", found.version, found.path),
        Err(_) => "firecracker not found".to_owned(),
    };
    let versions = Versions { smartvm: env!("CARGO_PKG_VERSION"), firecracker: found.ok() };
    if printer.wants_json() {
        printer.json(&versions)?;
    } else {
        printer.data(&format!("smartvm {}\n{firecracker_line}", versions.smartvm))?;
    }
    Ok(Exit::Ok)
}

fn find(settings: &Settings) -> Result<Firecracker, Failure> {
    let binary = settings.find_firecracker()?;
    let version = runtime()?
        .block_on(binary.version())
        .map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    Ok(Firecracker { path: binary.path().display().to_string(), version: version.to_string() })
}
