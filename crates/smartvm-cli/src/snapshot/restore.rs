//! `smartvm snapshot restore`.

use std::path::PathBuf;
use std::str::FromStr;

use smartvm::snapshot::{
    MemoryBackend, NetworkOverride, RestoreVm, SharedDrive, SnapshotName, Verify,
};
use smartvm::{SmartVm, VmId};

use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::run;
use crate::run::jail::JailArgs;
use crate::settings::{Settings, absolute};

/// Go on from a snapshot, with the guest's console on this terminal, until it ends
///
/// The VM works on private copies of the saved drives, so that any number of them can go on from
/// one snapshot. Each believes the same things: random numbers, keys and addresses must be renewed
/// inside before they count.
///
/// A snapshot is code: whoever made it decides what the guest does. It has no say in how the guest is
/// kept apart from the host; run by root, it is jailed as by `smartvm run`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Keys, signals and exit codes are those of `smartvm run`. The guest's shell does not know that it was
away: press Enter to see its prompt.

Examples:
  smartvm snapshot restore web-ready
  smartvm snapshot restore web-ready --id web-2 --tap eth0=tap2
  smartvm snapshot restore web-ready --uffd --track-dirty-pages
  smartvm snapshot restore from-afar --tap eth0=tap2 --drive rootfs=/images/root.squashfs

{}", Exit::table()))]
pub(crate) struct RestoreArgs {
    /// The snapshot
    name: SnapshotName,
    /// The VM's id [default: a random one]
    #[arg(long, value_name = "ID")]
    id: Option<VmId>,
    /// Leave the guest paused; Ctrl-] p lets it go on
    #[arg(long)]
    paused: bool,
    /// Give the guest its memory page by page through userfaultfd, instead of mapping the file
    #[arg(long)]
    uffd: bool,
    /// The TAP device of a network interface, if not the one that it had; needed for a snapshot that was
    /// made elsewhere; may be repeated
    #[arg(long = "tap", value_name = "IFACE=TAP")]
    taps: Vec<Tap>,
    /// The file of a drive that the snapshot does not hold, if not where it was; needed for a snapshot
    /// that was made elsewhere; may be repeated
    #[arg(long = "drive", value_name = "ID=PATH")]
    drives: Vec<Drive>,
    /// Count what is written from here on, for a differential snapshot
    #[arg(long)]
    track_dirty_pages: bool,
    /// Set the guest's clock to now (Firecracker 1.14.4)
    #[arg(long)]
    clock_realtime: bool,
    /// Refuse it unless it is signed by the other half of this public Ed25519 key (`openssl pkey -pubout`)
    #[arg(long, value_name = "KEY", env = "SMARTVM_VERIFY_KEY", hide_env_values = true)]
    verify: Option<PathBuf>,
    /// Compare all files with what was saved, not only those that look changed
    #[arg(long)]
    verify_files: bool,
    /// Try it on a processor that the guest was not saved on
    #[arg(long)]
    accept_other_cpu: bool,
    /// Write a report of the run as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Give the guest no input, and leave the terminal's mode as it is
    #[arg(long)]
    no_stdin: bool,
    #[command(flatten)]
    jail: JailArgs,
}

/// `IFACE=TAP`.
#[derive(Debug, Clone)]
struct Tap(NetworkOverride);

impl FromStr for Tap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (iface, tap) = text.split_once('=').ok_or("it has the form IFACE=TAP")?;
        let iface_id =
            iface.parse().map_err(|_| "an interface's name has letters, digits and _")?;
        // IFNAMSIZ less its final zero.
        if tap.is_empty() || tap.len() > 15 {
            return Err("a TAP's name has 1 to 15 characters".to_owned());
        }
        Ok(Self(NetworkOverride { iface_id, host_dev_name: tap.to_owned() }))
    }
}

/// `ID=PATH`.
#[derive(Debug, Clone)]
struct Drive(SharedDrive);

impl FromStr for Drive {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((id, path)) if !id.is_empty() && !path.is_empty() => {
                Ok(Self(SharedDrive { drive_id: id.to_owned(), path: path.into() }))
            }
            _ => Err("it has the form ID=PATH".to_owned()),
        }
    }
}

/// Restores the guest and stays until it has ended.
pub(super) fn perform(
    args: &RestoreArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<Exit, Failure> {
    let mut request = RestoreVm::new(args.name.clone());
    request.id = args.id.clone();
    request.resume = !args.paused;
    request.backend = if args.uffd { MemoryBackend::Uffd } else { MemoryBackend::File };
    request.network_overrides = args.taps.iter().map(|tap| tap.0.clone()).collect();
    for Drive(drive) in &args.drives {
        let path = absolute(&drive.path)?;
        request.drives.push(SharedDrive { path, ..drive.clone() });
    }
    args.jail.apply(&mut request.jail)?;
    request.track_dirty_pages = args.track_dirty_pages;
    request.clock_realtime = args.clock_realtime;
    request.verify = if args.verify_files { Verify::Always } else { Verify::Changed };
    request.accept_other_cpu = args.accept_other_cpu;
    let verify_key = args.verify.as_deref().map(absolute).transpose()?;
    let settings = &Settings { verify_key, ..settings.clone() };
    run::attend(
        || Ok(|manager: &SmartVm| manager.restore_vm(request)),
        args.report.as_deref(),
        run::Attending::Console { no_stdin: args.no_stdin },
        settings,
        printer,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tap_belongs_to_an_interface() {
        let tap: Tap = "eth0=tap7".parse().unwrap();
        assert_eq!((tap.0.iface_id.as_str(), tap.0.host_dev_name.as_str()), ("eth0", "tap7"));
        for text in ["eth0", "eth0=", "=tap0", "et h0=tap0", "eth0=a-name-that-is-too-long"] {
            assert!(text.parse::<Tap>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_belongs_to_a_drive() {
        let drive: Drive = "rootfs=/images/a=b".parse().unwrap();
        assert_eq!((drive.0.drive_id.as_str(), drive.0.path), ("rootfs", "/images/a=b".into()));
        for text in ["rootfs", "rootfs=", "=/x", ""] {
            assert!(text.parse::<Drive>().is_err(), "{text}");
        }
    }
}
