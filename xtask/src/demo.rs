//! `cargo xtask demo`: from a fresh machine to a real Linux guest that answers.
//!
//! Where this machine's KVM runs Linux guests, the guest boots here, else in the lab. The half
//! that talks to the guest is the same program in both.

mod conversation;
pub(crate) mod guest;
mod steps;
mod terminal;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context, bail};

use self::guest::DemoGuestArgs;
use self::steps::Steps;
use crate::dist;
use crate::fixtures::{self, firecracker};
use crate::lab::{self, LabSize};
use crate::{doctor, say, workspace};

/// Boot a small real Linux guest with `smartvm run`, talk to it, pause, resume and stop it
///
/// Fetches and builds what that needs first. The exit code is 0 only if all of it happened.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Boot the guest in the lab even where this machine could
    #[arg(long)]
    lab: bool,
}

/// Does all of it.
pub(crate) fn demo(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let mut steps = Steps::default();
    let firecracker = steps.time("fetch Firecracker", firecracker::ensure_released)?;
    let guest = steps.time("fetch a kernel, make a root file system", fixtures::ensure_guest)?;
    let dist = steps.time("build smartvm and its guest agent", dist::dist)?;
    let native =
        !args.lab && steps.time("ask smartvm doctor", || doctor::can_run_linux_guests(&dist))?;

    let demos = workspace::root().join("target/demo");
    fs_err::create_dir_all(&demos)?;
    let data = tempfile::tempdir_in(&demos).context("make a data directory for the demo")?;
    let data_dir = data.path().to_owned();
    steps.time("import the kernel", || guest::import_kernel(&dist, &data_dir, &guest.kernel))?;

    let results = lab::results_dir()?.join(format!("demo-{}.json", std::process::id()));
    let inner = DemoGuestArgs {
        smartvm: dist.smartvm,
        firecracker: firecracker.firecracker,
        data_dir,
        kernel: guest.kernel.version,
        rootfs: guest.rootfs.ext4,
        steps: results.clone(),
    };
    if native {
        say::step("KVM runs Linux guests here: boots one");
        guest::demo_guest(&inner)?;
    } else {
        say::step(
            "boots a guest in the lab: an emulated host, 10 to 20 times slower than a real one",
        );
        let xtask = std::env::current_exe()?;
        let mut argv: Vec<OsString> = vec![xtask.into(), "demo-guest".into()];
        argv.extend(inner.to_args());
        let mut ran = lab::command(&argv, &[], &[], &LabSize::default(), "")?;
        if ran.code != 0 {
            // In the emulated host one guest in a hundred hangs while it boots.
            say::step("RETRY: the guest did not get through in the lab; boots it once more");
            ran = lab::command(&argv, &[], &[], &LabSize::default(), "")?;
        }
        steps.add("boot the lab", ran.boot);
        if ran.code != 0 {
            bail!("the guest's part of the demo failed in the lab, with exit code {}", ran.code);
        }
    }
    steps.append(Steps::read(&results)?);
    fs_err::remove_file(&results)?;
    say::result(format!("\n{}", steps.table()));
    Ok(ExitCode::SUCCESS)
}
