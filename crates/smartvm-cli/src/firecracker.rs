//! `smartvm firecracker`: the releases of Firecracker that VMs run in.
//!
//! With `--json`, `list` prints an array and `install` and `use` one object of [`InstalledRelease`]'s
//! form: `version`, `firecracker` and `jailer` (paths), `isDefault`. `rm` prints `{"removed":"vX.Y.Z"}`.

mod choose;
mod install;
mod list;
mod rm;
mod version;

use clap::Subcommand;
use smartvm_images::{InstalledRelease, ReleaseStore};

use self::version::VersionArg;
use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  smartvm firecracker install              the latest release
  smartvm firecracker install v1.12.1
  smartvm firecracker list
  smartvm firecracker use v1.12.1
  smartvm firecracker rm v1.9.1

Releases are kept in `firecracker` of the data directory. VMs run the one that was chosen with
`use`, else the newest.

With --json: objects with version, firecracker, jailer, isDefault.";

/// Install, list, choose and remove releases of Firecracker
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct FirecrackerArgs {
    #[command(subcommand)]
    pub(crate) verb: FirecrackerVerb,
}

/// What to do with releases.
#[derive(Debug, Subcommand)]
pub(crate) enum FirecrackerVerb {
    Install(install::InstallArgs),
    /// List the installed releases
    #[command(
        after_help = "Examples:\n  smartvm firecracker list\n  smartvm firecracker list --json"
    )]
    List,
    /// Choose the release that VMs run
    #[command(after_help = "Examples:\n  smartvm firecracker use v1.12.1")]
    Use {
        /// An installed version
        version: VersionArg,
    },
    /// Remove an installed release
    #[command(after_help = "Examples:\n  smartvm firecracker rm v1.9.1")]
    Rm {
        /// An installed version
        version: VersionArg,
    },
}

/// Does what the verb says.
pub(crate) fn perform(
    verb: &FirecrackerVerb,
    settings: &Settings,
    printer: Printer,
) -> Result<Exit, Failure> {
    let store = ReleaseStore::open(&settings.options().releases_dir());
    let store = store.map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    if matches!(verb, FirecrackerVerb::Install(_)) {
        settings.admit_image()?;
    }
    match verb {
        FirecrackerVerb::Install(args) => install::perform(args, &store, printer)?,
        FirecrackerVerb::List => list::perform(&store, printer)?,
        FirecrackerVerb::Use { version } => choose::perform(&store, version.0, printer)?,
        FirecrackerVerb::Rm { version } => rm::perform(&store, version.0, printer)?,
    }
    Ok(Exit::Ok)
}

/// What `install` and `use` say of a release to a person.
fn describe(release: &InstalledRelease) -> String {
    format!(
        "version      {}\nfirecracker  {}\njailer       {}",
        release.version,
        release.firecracker.display(),
        release.jailer.display()
    )
}
