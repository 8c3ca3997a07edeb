//! `smartvm metrics`: what running VMs count.
//!
//! With `--json`, one object whose keys are the ids of the VMs; each has `timestampMs` (since 1970),
//! `flushes`, `damagedLines` and `values`, an object of dotted names, each with its `kind`
//! (`counter` or `gauge`) and `value`.

use std::collections::BTreeMap;
use std::time::Duration;

use smartvm::VmId;
use smartvm::control::{ControlCall, ControlClient, ControlError};
use smartvm_firecracker::MetricsSnapshot;

use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::Settings;
use crate::{owner, run};

/// Firecracker answers within milliseconds; a guest that is being saved is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Print what running VMs' Firecrackers count, as of now
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Counters are summed up since the VM was started. Without --prometheus and --json, those that are 0
are left out. The VMs are those of `smartvm run` and `smartvm snapshot restore`.

Examples:
  smartvm metrics web
  smartvm metrics web db --prometheus > /var/lib/node_exporter/smartvm.prom
  smartvm metrics web --json")]
pub(crate) struct MetricsArgs {
    /// The VMs' ids
    #[arg(value_name = "VM", required = true)]
    vms: Vec<VmId>,
    /// Print them as text for Prometheus
    #[arg(long, conflicts_with = "json")]
    prometheus: bool,
}

/// Asks the owners and prints what they say.
pub(crate) fn perform(
    args: &MetricsArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<Exit, Failure> {
    let mut all = BTreeMap::new();
    let runtime = run::runtime()?;
    for id in &args.vms {
        let answer = runtime.block_on(async {
            let mut owner = ControlClient::connect(&settings.runtime_dir, id).await?;
            owner.call(&ControlCall::Metrics, PATIENCE).await
        });
        let answer = answer.map_err(|error: ControlError| owner::failure(error))?;
        let snapshot = serde_json::from_value::<MetricsSnapshot>(answer).map_err(|error| {
            let message = format!("the owner of VM {id} said something else than metrics");
            Failure::new("CONTROL_FAILED", message).caused_by(&error)
        })?;
        all.insert(id.as_str(), snapshot);
    }
    if printer.wants_json() {
        printer.json(&all)?;
    } else if args.prometheus {
        let text = MetricsSnapshot::to_prometheus_of(all.iter().map(|(id, it)| (*id, it)));
        printer.data(text.trim_end())?;
    } else {
        printer.data(&listed(&all))?;
    }
    Ok(Exit::Ok)
}

/// A line for each metric that is not 0.
fn listed(all: &BTreeMap<&str, MetricsSnapshot>) -> String {
    let mut lines = Vec::new();
    for (id, snapshot) in all {
        if all.len() > 1 {
            lines.push(format!("{id}:"));
        }
        let counted = || snapshot.iter().filter(|(_, metric)| metric.value > 0);
        let width = counted().map(|(name, _)| name.len()).max().unwrap_or_default();
        lines.extend(counted().map(|(name, metric)| format!("{name:width$}  {}", metric.value)));
    }
    lines.join("\n")
}
