//! How `smartvm run` keeps the guest apart from the host.

use std::path::{Path, PathBuf};

use smartvm::{Confinement, JailConfig, NotJailed};

use super::memory::MemoryMib;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::absolute;

/// Where `ip netns` keeps the namespaces that it has given names.
const NAMED_NETNS: &str = "/run/netns";

/// Flags of the jail.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Jail (root only)")]
pub(crate) struct JailArgs {
    /// Run Firecracker as this user, with all that this user sees [default: in a jail, as a user
    /// of its own, when run by root]
    #[arg(long, conflicts_with_all = ["netns", "cpus_max", "memory_max", "pids_max"])]
    no_jail: bool,
    /// The network namespace of Firecracker: a name from `ip netns`, or a path
    #[arg(long, value_name = "NAME|PATH")]
    netns: Option<PathBuf>,
    /// How much processor time Firecracker and its guest may use, in processors, such as 1.5
    #[arg(long, value_name = "N", value_parser = percent)]
    cpus_max: Option<u32>,
    /// How much memory Firecracker and its guest may use in MiB, or as 512M or 2G; what asks for
    /// more is killed
    #[arg(long, value_name = "MIB")]
    memory_max: Option<MemoryMib>,
    /// How many threads Firecracker may have; it needs 2, one a processor, and 2 of the kernel's
    #[arg(long, value_name = "N")]
    pids_max: Option<u32>,
}

impl JailArgs {
    /// Overrides what the configuration says.
    pub(crate) fn apply(&self, jail: &mut JailConfig) -> Result<(), Failure> {
        if self.no_jail {
            *jail = JailConfig { enabled: Some(false), ..JailConfig::default() };
            return Ok(());
        }
        if let Some(netns) = &self.netns {
            let is_name = netns.components().count() == 1 && !netns.is_absolute();
            let path = if is_name { Path::new(NAMED_NETNS).join(netns) } else { absolute(netns)? };
            jail.netns = Some(path);
        }
        let cgroup = &mut jail.cgroup;
        cgroup.cpu_max_percent = self.cpus_max.or(cgroup.cpu_max_percent);
        let memory_max = self.memory_max.map(|memory| memory.0.into());
        cgroup.memory_max_mib = memory_max.or(cgroup.memory_max_mib);
        cgroup.pids_max = self.pids_max.or(cgroup.pids_max);
        Ok(())
    }
}

/// Says plainly that a guest is not jailed, or not limited.
pub(super) fn tell(confinement: Option<&Confinement>, printer: Printer) {
    match confinement {
        Some(Confinement::NotJailed { reason: NotJailed::NotRoot }) => {
            printer.status("the VM is not jailed: only root can do that");
        }
        Some(Confinement::NotJailed { reason: NotJailed::TurnedOff }) => {
            printer.status("the VM is not jailed, as was asked");
        }
        Some(Confinement::Jailed { limits, .. }) if !limits.missing.is_empty() => {
            let reason = limits.reason.as_deref().unwrap_or("the host cannot do it");
            let missing = limits.missing.join(", ");
            printer.status(&format!("nothing limits what the VM uses of {missing}: {reason}"));
        }
        _ => {}
    }
}

/// Processors as a percentage of one.
fn percent(text: &str) -> Result<u32, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    let has_form = !whole.is_empty() && fraction.len() <= 2;
    if !has_form || !is_number(whole) || !is_number(fraction) {
        return Err("write a number such as 2 or 0.25".to_owned());
    }
    let hundredths = format!("{whole}{fraction:0<2}").parse();
    match hundredths {
        Ok(percent @ 1..=1_000_000) => Ok(percent),
        _ => Err("write a number from 0.01 to 10000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use smartvm::VmConfig;

    use super::*;

    #[test]
    fn processors_are_read_as_a_percentage() {
        for (text, expected) in [("1", 100), ("1.5", 150), ("0.25", 25), ("0.01", 1), ("12", 1200)]
        {
            assert_eq!(percent(text), Ok(expected), "{text}");
        }
        for text in ["", "0", ".5", "1.234", "-1", "1e3", "a", "10001", "1.5.5"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }

    #[test]
    fn flags_override_the_file_and_no_jail_all_of_it() {
        let file = r#"{"jail":{"uid":70000,"cgroup":{"pidsMax":9,"cpuMaxPercent":50}}}"#;
        let mut config = VmConfig::from_json(file).unwrap();
        let args = JailArgs {
            netns: Some("guests".into()),
            cpus_max: Some(150),
            memory_max: Some(MemoryMib(64)),
            ..JailArgs::default()
        };
        args.apply(&mut config.jail).unwrap();
        assert_eq!(config.jail.netns.as_deref(), Some(Path::new("/run/netns/guests")));
        let cgroup = &config.jail.cgroup;
        assert_eq!(
            (cgroup.pids_max, cgroup.cpu_max_percent, cgroup.memory_max_mib),
            (Some(9), Some(150), Some(64))
        );
        let none = JailArgs { no_jail: true, ..JailArgs::default() };
        none.apply(&mut config.jail).unwrap();
        let off = JailConfig { enabled: Some(false), ..JailConfig::default() };
        assert_eq!(config.jail, off);
    }
}
