//! The command line, its global part.

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand};

use crate::api::ApiArgs;
use crate::audit::AuditArgs;
use crate::completions::CompletionsArgs;
use crate::cp::CpArgs;
use crate::exec::ExecArgs;
use crate::exit_code::Exit;
use crate::firecracker::FirecrackerArgs;
use crate::image::ImageArgs;
use crate::image_size::SizeMib;
use crate::kernel::KernelArgs;
use crate::metrics::MetricsArgs;
use crate::net::NetArgs;
use crate::rootfs::RootfsArgs;
use crate::run::RunArgs;
use crate::snapshot::SnapshotArgs;

const EXAMPLES: &str = "\
Examples:
  smartvm doctor                                  what this host can do
  smartvm kernel import /boot/vmlinuz-6.1.0-56-amd64 --modules /lib/modules/6.1.0-56-amd64
  smartvm run --rootfs debian.ext4                boot it with that kernel
  smartvm firecracker install                     the latest Firecracker
  smartvm run --image latest                      what its CI boots

Environment:
  SMARTVM_DATA_DIR, SMARTVM_RUNTIME_DIR, SMARTVM_JAIL_DIR, SMARTVM_NETWORK_DIR, SMARTVM_FIRECRACKER
                                                  as the flags
  SMARTVM_BASE_IMAGE_CACHE_DIR                    as --image-cache-dir
  SMARTVM_MAX_STORED_BASE_IMAGES, SMARTVM_BUCKET_URL, SMARTVM_RELEASE_URL   as the flags of `image pull`
  SMARTVM_AUDIT                                   as --audit
  SMARTVM_DISK_BUDGET                             as --disk-budget
  SMARTVM_AGENT                                   the guest init that `kernel import` packs
  NO_COLOR                                        no colours";

/// Firecracker microVMs: secure by default, leaving nothing behind.
#[derive(Debug, Parser)]
#[command(name = "smartvm", version, max_term_width = 100)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", Exit::table()))]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Flags that every verb knows.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Where kernels and downloads are kept [default: /var/lib/smartvm for root, else
    /// $XDG_DATA_HOME/smartvm or ~/.local/share/smartvm]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "SMARTVM_DATA_DIR",
        hide_env_values = true
    )]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where the sockets and records of running VMs are, and the private copies of drives of those that are not
    /// jailed: of others they are in --jail-dir [default: /run/smartvm/vms for root, else
    /// $XDG_RUNTIME_DIR/smartvm or a private directory in /dev/shm]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "SMARTVM_RUNTIME_DIR",
        hide_env_values = true
    )]
    pub(crate) runtime_dir: Option<PathBuf>,
    /// Where jails are made, with the private copies of their drives, on a file system that allows devices and
    /// programs [default: `jail` in the data directory]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "SMARTVM_JAIL_DIR",
        hide_env_values = true
    )]
    pub(crate) jail_dir: Option<PathBuf>,
    /// Where base images are kept [default: `base-images` in the data directory]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "SMARTVM_BASE_IMAGE_CACHE_DIR",
        hide_env_values = true
    )]
    pub(crate) image_cache_dir: Option<PathBuf>,
    /// Where it is written down what exists of networks [default: /run/smartvm/net]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "SMARTVM_NETWORK_DIR",
        hide_env_values = true
    )]
    pub(crate) network_dir: Option<PathBuf>,
    /// The Firecracker to run [default: the chosen or the newest in the data directory, else the one
    /// on PATH]
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "SMARTVM_FIRECRACKER",
        hide_env_values = true
    )]
    pub(crate) firecracker: Option<PathBuf>,
    /// Go on although this version of Firecracker has the known defect NAME; `*` is any
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) accept_defect: Vec<String>,
    /// Whether it is written down for `smartvm audit` who asks what of which VM [default: on for root]
    #[arg(
        long,
        global = true,
        value_name = "on|off",
        env = "SMARTVM_AUDIT",
        hide_env_values = true,
        hide_possible_values = true
    )]
    pub(crate) audit: Option<Switch>,
    /// How much of the disk the VMs may come to take, together with the snapshots, images, kernels and logs of
    /// the data directory, such as 200G: a start or a snapshot that does not fit is refused [default: no
    /// bound but the disk's own, of which a twentieth, 1 GiB at most, stays free]
    #[arg(
        long,
        global = true,
        value_name = "SIZE",
        env = "SMARTVM_DISK_BUDGET",
        hide_env_values = true
    )]
    pub(crate) disk_budget: Option<SizeMib>,
    /// Print data as JSON on stdout, and an error as JSON on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print no status lines
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Print logs on stderr: info, with -vv debug, with -vvv trace
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Run(Box<RunArgs>),
    /// Check what this host can do, and say how to mend it
    #[command(after_help = crate::doctor::AFTER_HELP)]
    Doctor,
    Api(ApiArgs),
    Audit(AuditArgs),
    Cp(CpArgs),
    Exec(ExecArgs),
    Firecracker(FirecrackerArgs),
    Image(ImageArgs),
    Kernel(KernelArgs),
    Metrics(MetricsArgs),
    Rootfs(RootfsArgs),
    Net(NetArgs),
    Snapshot(SnapshotArgs),
    /// Print the versions of smartvm and of Firecracker
    #[command(after_help = crate::version::AFTER_HELP)]
    Version,
    Completions(CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_verb_has_help_with_an_example() {
        for verb in Args::command().get_subcommands() {
            let name = verb.get_name();
            assert!(verb.get_about().is_some(), "{name} says nothing of itself");
            let after = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.contains(&format!("smartvm {name}")), "{name} has no example");
        }
    }
}
