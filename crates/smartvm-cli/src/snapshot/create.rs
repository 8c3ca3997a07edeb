//! `smartvm snapshot create`.

use std::path::PathBuf;
use std::time::Duration;

use smartvm::VmId;
use smartvm::control::{ControlCall, ControlClient, SnapshotCreateCall};
use smartvm::snapshot::SnapshotName;

use crate::failure::Failure;
use crate::owner;
use crate::printer::Printer;
use crate::run;
use crate::settings::{Settings, absolute};

/// Longer than the largest guest takes to be written to a slow disk and hashed.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Save a guest that `smartvm run` or `smartvm snapshot restore` runs
///
/// The guest stands still while its memory is written and its writable drives are copied, and
/// runs on then; also when something fails. The process that runs the VM does the work.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  smartvm snapshot create web
  smartvm snapshot create web --name web-ready --keep-paused
  smartvm snapshot create web --name later --diff web-ready
  smartvm snapshot create web --name signed --sign secret.pem

A differential snapshot holds what was written since the VM's last snapshot. It needs
machineConfig.trackDirtyPages, or `snapshot restore --track-dirty-pages`; `smartvm snapshot merge`
makes it whole again.")]
pub(crate) struct CreateArgs {
    /// The VM's id
    #[arg(value_name = "VM")]
    vm: VmId,
    /// What to call the snapshot [default: the VM's id and the time]
    #[arg(long, value_name = "NAME")]
    name: Option<SnapshotName>,
    /// Save only what was written since this snapshot
    #[arg(long, value_name = "BASE")]
    diff: Option<SnapshotName>,
    /// Leave the guest paused
    #[arg(long)]
    keep_paused: bool,
    /// Sign it with this secret Ed25519 key, as `openssl genpkey -algorithm ed25519` makes them; the file must
    /// be readable by its owner alone
    #[arg(long, value_name = "KEY")]
    sign: Option<PathBuf>,
}

/// Asks the owner of the VM, and shows what became of it.
pub(super) fn perform(
    args: &CreateArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<(), Failure> {
    let call = ControlCall::SnapshotCreate(SnapshotCreateCall {
        name: args.name.clone(),
        base: args.diff.clone(),
        keep_paused: args.keep_paused,
        sign: args.sign.as_deref().map(absolute).transpose()?,
    });
    let runtime = run::runtime()?;
    let made = runtime.block_on(async {
        let mut owner = ControlClient::connect(&settings.runtime_dir, &args.vm).await?;
        owner.call(&call, PATIENCE).await
    });
    let manifest = made.map_err(owner::failure)?;
    if printer.wants_json() {
        return printer.json(&manifest);
    }
    let name = manifest["name"].as_str().unwrap_or_default();
    printer.status(&format!("saved VM {} as snapshot {name}", args.vm));
    printer.data(name)
}
