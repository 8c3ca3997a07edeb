//! `smartvm snapshot`: guests as they were at one moment.
//!
//! With `--json`, `create`, `show` and `merge` print a snapshot's manifest, `list` an array of them, and
//! `rm` prints `{"removed":"NAME"}`. The manifest's keys: `id`, `name`, `kind` (`full` or `diff`), `parent`,
//! `createdAtMs`, `vmId`, `firecrackerVersion`, `snapshotFormat`, `architecture`, `hostKernel`, `cpu`,
//! `config`, `memorySize`, `vmstate`, `memory`, `drives`.

mod create;
mod describe;
mod list;
mod merge;
mod restore;
mod rm;
mod show;

use clap::Subcommand;
use smartvm::SmartVm;
use smartvm::snapshot::{SnapshotName, SnapshotStore};

use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  smartvm snapshot create web --name web-ready     while `smartvm run --id web` runs
  smartvm snapshot list
  smartvm snapshot restore web-ready --id web-2
  smartvm snapshot create web --name later --diff web-ready
  smartvm snapshot merge later --into whole
  smartvm snapshot rm web-ready";

/// Save running guests, and go on from there any number of times
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SnapshotArgs {
    #[command(subcommand)]
    pub(crate) verb: SnapshotVerb,
}

/// What to do with snapshots.
#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotVerb {
    Create(create::CreateArgs),
    /// List the snapshots, the oldest first
    #[command(after_help = "Examples:\n  smartvm snapshot list\n  smartvm snapshot list --json")]
    List,
    /// Show one snapshot: what it is and what it needs
    #[command(after_help = "Examples:\n  smartvm snapshot show web-ready\n  \
                            smartvm snapshot show web-ready --verify")]
    Show {
        /// Its name, as `smartvm snapshot list` shows it
        name: SnapshotName,
        /// Compare all its files with what was saved
        #[arg(long)]
        verify: bool,
    },
    Restore(Box<restore::RestoreArgs>),
    /// Remove a snapshot
    #[command(after_help = "Examples:\n  smartvm snapshot rm web-ready\n\n\
                            VMs that were restored from it go on.")]
    Rm {
        /// Its name, as `smartvm snapshot list` shows it
        name: SnapshotName,
    },
    Merge(merge::MergeArgs),
}

/// Does what the verb says.
pub(crate) fn perform(
    verb: &SnapshotVerb,
    settings: &Settings,
    printer: Printer,
) -> Result<Exit, Failure> {
    match verb {
        SnapshotVerb::Create(args) => create::perform(args, settings, printer)?,
        SnapshotVerb::List => list::perform(&store(settings)?, printer)?,
        SnapshotVerb::Show { name, verify } => {
            show::perform(&store(settings)?, name, *verify, printer)?;
        }
        SnapshotVerb::Restore(args) => return restore::perform(args, settings, printer),
        SnapshotVerb::Rm { name } => rm::perform(&store(settings)?, name, printer)?,
        SnapshotVerb::Merge(args) => merge::perform(args, &store(settings)?, printer)?,
    }
    Ok(Exit::Ok)
}

fn store(settings: &Settings) -> Result<SnapshotStore, Failure> {
    SnapshotStore::open(&SmartVm::snapshots_dir(&settings.data_dir))
        .map_err(|error| Failure::of(&error, error.code(), error.hint()))
}
