//! `smartvm net`: the networks of this host's VMs.
//!
//! With `--json`, `status` prints an array of networks: `bridge`, `subnet`, `isolation`, `egress`,
//! `bounds` (`connections`, `newConnectionsPerSecond`), `bridgeIsOurs`, `bridgeUp`, `rulesInForce`, `rulesProblem`, `damage` (what others did to links, addresses and routes, each with its `kind`), `ownerless`, `wireguard` (what it is to be), `wireguardState`
//! (what there is of it, with `ready` and `peers`), `foreignBlocks` (chains of other programs that stop guests: `family`, `table`,
//! `chain`, `backend` (`nftables` or `iptablesLegacy`), `program`, `stops`, `remedies`), `refused` (rules that refuse, with `packets` and `bytes`) and `guests`; `list` an array of guests: `vm`, `iface`, `tap`, `mac`,
//! `address`, `egress`, `published`; `rules` an array of a VM's devices with `own` and `network`, each an
//! array of rules with `packets` and `bytes`, and `bounds` with `refusedNew` and `refusedOpen` (packets; guests with the same bounds
//! share them); `firewall` `{"cut":N}`; `reload` `{"reloaded":[…]}`; `gc`
//! `{"interfaces":[…],"networks":[…]}`.

mod firewall;
mod flags;
mod gc;
mod list;
mod reload;
mod rules;
mod status;
mod wireguard;
mod wireguard_flags;

use std::path::PathBuf;

use clap::Subcommand;
use smartvm_network::{InterfaceName, NetworkReport, OpenNetworkError};

pub(crate) use self::flags::NetworkFlags;
use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  smartvm net status
  smartvm net list
  smartvm net rules web --json
  smartvm net firewall web egress.json
  smartvm net reload
  smartvm net gc";

/// See and mend the networks of this host's VMs
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct NetArgs {
    #[command(subcommand)]
    pub(crate) verb: NetVerb,
}

/// What to do with networks.
#[derive(Debug, Subcommand)]
pub(crate) enum NetVerb {
    /// Show each network: whether its rules are in force, and what they have refused
    ///
    /// Also tells when the firewall of another program, such as Docker's or firewalld's, stops guests,
    /// with the commands that let them through.
    #[command(after_help = "Examples:\n  smartvm net status\n  smartvm net status --json")]
    Status,
    /// List the network devices of VMs, with their addresses
    #[command(after_help = "Examples:\n  smartvm net list\n  smartvm net list --json")]
    List,
    /// Show where a VM may connect to, and how often each rule has decided
    #[command(after_help = "Examples:\n  smartvm net rules web\n  smartvm net rules web --json")]
    Rules {
        /// The VM's id
        vm: String,
    },
    /// Change where a running VM may connect to, and cut what it may not any more
    #[command(after_help = "Examples:\n  smartvm net firewall web egress.json\n  \
                            smartvm net firewall web --none")]
    Firewall {
        /// The VM's id
        vm: String,
        /// The section `firewall` of a network device, as JSON
        #[arg(required_unless_present = "none", conflicts_with = "none")]
        file: Option<PathBuf>,
        /// No firewall of its own: what its network allows
        #[arg(long)]
        none: bool,
    },
    /// Put back what other programs removed: rules, links on their bridge, addresses, routes
    #[command(after_help = "Examples:\n  smartvm net reload\n  smartvm net reload svbr0")]
    Reload {
        /// The network, by its bridge [default: all]
        network: Option<InterfaceName>,
    },
    /// Remove what dead owners left: TAPs, rules, addresses, ports, unused networks
    #[command(after_help = "Examples:\n  smartvm net gc\n  smartvm net gc --json")]
    Gc,
}

/// Does what the verb says.
pub(crate) fn perform(
    verb: &NetVerb,
    settings: &Settings,
    printer: Printer,
) -> Result<Exit, Failure> {
    match verb {
        NetVerb::Status => status::perform(settings, printer)?,
        NetVerb::List => list::perform(settings, printer)?,
        NetVerb::Rules { vm } => rules::perform(vm, settings, printer)?,
        NetVerb::Firewall { vm, file, .. } => {
            firewall::perform(vm, file.as_deref(), settings, printer)?;
        }
        NetVerb::Reload { network } => reload::perform(network.as_ref(), settings, printer)?,
        NetVerb::Gc => gc::perform(settings, printer)?,
    }
    Ok(Exit::Ok)
}

fn reports(settings: &Settings) -> Result<Vec<NetworkReport>, Failure> {
    NetworkReport::all(&settings.network_dir).map_err(|error| failure(&error))
}

fn failure(error: &OpenNetworkError) -> Failure {
    Failure::of(error, error.code(), error.hint())
}

fn no_such_vm(vm: &str, reports: &[NetworkReport]) -> Failure {
    let others: Vec<_> =
        reports.iter().flat_map(|it| &it.guests).map(|guest| guest.vm.as_str()).collect();
    let failure = Failure::new(
        "VM_NOT_FOUND",
        format!("no VM `{vm}` has a network device that was made for it"),
    );
    if others.is_empty() {
        failure
    } else {
        failure.with_hint(format!("these have: {}", others.join(", ")))
    }
}
