//! The half of `demo` that runs where KVM runs guests.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;

use super::conversation::Conversation;
use super::steps::Steps;
use super::terminal::{self, Terminal};
use crate::dist::Dist;
use crate::fixtures::kernel::KernelFixture;
use crate::run::Run;

/// What to boot with what.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoGuestArgs {
    #[arg(long)]
    pub(super) smartvm: PathBuf,
    #[arg(long)]
    pub(super) firecracker: PathBuf,
    #[arg(long)]
    pub(super) data_dir: PathBuf,
    #[arg(long)]
    pub(super) kernel: String,
    #[arg(long)]
    pub(super) rootfs: PathBuf,
    /// Where to write what took how long
    #[arg(long)]
    pub(super) steps: PathBuf,
}

impl DemoGuestArgs {
    /// The arguments that say the same.
    pub(super) fn to_args(&self) -> Vec<OsString> {
        let pairs: [(&str, OsString); 6] = [
            ("--smartvm", self.smartvm.clone().into()),
            ("--firecracker", self.firecracker.clone().into()),
            ("--data-dir", self.data_dir.clone().into()),
            ("--kernel", self.kernel.clone().into()),
            ("--rootfs", self.rootfs.clone().into()),
            ("--steps", self.steps.clone().into()),
        ];
        pairs.into_iter().flat_map(|(name, value)| [name.into(), value]).collect()
    }
}

/// The part of what `smartvm run --report` writes that the demo shows.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunReport {
    start_ms: f64,
}

/// Imports the kernel as a user would.
pub(super) fn import_kernel(
    dist: &Dist,
    data_dir: &Path,
    kernel: &KernelFixture,
) -> anyhow::Result<()> {
    Run::new(&dist.smartvm)
        .args(["kernel", "import", "--name", &kernel.version, "--data-dir"])
        .arg(data_dir)
        .arg("--modules")
        .arg(&kernel.modules_dir)
        .arg("--init")
        .arg(&dist.agent)
        .arg(&kernel.image)
        .quietly()
}

/// Boots the guest on a terminal and does with it what a person would.
pub(crate) fn demo_guest(args: &DemoGuestArgs) -> anyhow::Result<ExitCode> {
    let reports = tempfile::tempdir().context("make a directory for the report")?;
    let report = reports.path().join("run.json");
    let terminal = Terminal::start(
        terminal::program(&args.smartvm)
            // In the lab, what is on a disk can only be read, and jails are made on a disk.
            .args(["run", "--no-jail", "--memory", "256", "--vcpus", "1", "--kernel", &args.kernel])
            // The default and `quiet`: in the lab every line of the kernel takes its time.
            .args(["--boot-args", "console=ttyS0 reboot=k panic=1 pci=off quiet"])
            .arg("--rootfs")
            .arg(&args.rootfs)
            .arg("--data-dir")
            .arg(&args.data_dir)
            .arg("--firecracker")
            .arg(&args.firecracker)
            .arg("--report")
            .arg(&report),
    )?;

    let mut steps = Steps::default();
    let mut guest = Conversation::new(terminal, args.kernel.clone());
    let first_byte = guest.wait_for_first_byte()?;
    let answered = guest.wait_for_answer()?;
    guest.pause(&mut steps)?;
    guest.expect_silence()?;
    guest.resume(&mut steps)?;
    guest.stop(&mut steps)?;

    let report: RunReport = serde_json::from_slice(&fs_err::read(&report)?)
        .context("read the report of `smartvm run`")?;
    let mut all = Steps::default();
    let start = Duration::try_from_secs_f64(report.start_ms / 1000.0);
    all.add("start: accepted by Firecracker", start.context("read how long the start took")?);
    all.add("first byte of the guest's console", first_byte);
    all.add("the guest's shell answered", answered);
    all.append(steps);
    all.write(&args.steps)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: DemoGuestArgs,
    }

    #[test]
    fn the_arguments_are_understood_by_the_other_half() {
        let args = DemoGuestArgs {
            smartvm: "/s".into(),
            firecracker: "/f".into(),
            data_dir: "/d".into(),
            kernel: "6.1".to_owned(),
            rootfs: "/r".into(),
            steps: "/t".into(),
        };
        let line = std::iter::once(OsString::from("xtask")).chain(args.to_args());
        let parsed = Line::try_parse_from(line).expect("all options are given").args;
        assert_eq!(parsed.to_args(), args.to_args());
    }
}
