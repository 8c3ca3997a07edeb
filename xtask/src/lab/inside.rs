//! The half of `lab` that runs in the emulated host.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::Instant;

use anyhow::{Context, bail};
use rustix::mount::mount_bind;

use super::request::{Outcome, Request};
use crate::run::Run;
use crate::{processor, say};

#[derive(Debug, clap::Args)]
pub(crate) struct LabInsideArgs {
    /// The run's directory
    run_dir: PathBuf,
}

/// Where copies of files are. Everything in `/run` is in the lab's memory.
const COPIES: &str = "/run/smartvm-lab";
/// Three guests of 256 MiB.
const HUGE_PAGES: u32 = 384;

/// Loads the modules that tests need, runs the command and writes down how it ended.
pub(crate) fn lab_inside(args: &LabInsideArgs) -> anyhow::Result<ExitCode> {
    let request = Request::read(&args.run_dir)?;
    let began = Instant::now();
    let code = perform(&request).unwrap_or_else(|error| {
        say::error(&error);
        // As a shell says that it could not run a command.
        127
    });
    let ran_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Outcome { code, ran_ms }.write(&args.run_dir)?;
    Ok(ExitCode::from(code))
}

fn perform(request: &Request) -> anyhow::Result<u8> {
    let kvm = processor::kvm_module()?.context("find virtualization in the emulated processor")?;
    for module in [kvm, "tun"] {
        Run::new("modprobe").arg(module).quietly()?;
    }
    reserve_huge_pages()?;
    // From here on the kernel's messages go to the console, which an error shows.
    Run::new("dmesg").args(["--console-level", "debug"]).quietly()?;
    take_into_memory(&request.in_memory)?;
    let (program, args) = request.argv.split_first().context("find a command in the request")?;
    let mut command = Run::new(program).args(args).dir(&request.directory).into_command();
    command.env_clear().envs(request.env.iter().map(|(name, value)| (name, value)));
    Ok(code_of(command.status().with_context(|| format!("start `{program}` in the lab"))?))
}

/// Pages of 2 MiB for guests, while there is memory in such pieces. With them, a guest that touches its
/// memory costs the emulated processor a fraction of the walks through page tables.
fn reserve_huge_pages() -> anyhow::Result<()> {
    const COUNT: &str = "/proc/sys/vm/nr_hugepages";
    fs_err::write(COUNT, HUGE_PAGES.to_string())?;
    let reserved = fs_err::read_to_string(COUNT)?;
    if reserved.trim() != HUGE_PAGES.to_string() {
        bail!("of {HUGE_PAGES} huge pages for guests there are {}", reserved.trim());
    }
    Ok(())
}

/// Puts a copy in the place of each of these files.
fn take_into_memory(files: &[PathBuf]) -> anyhow::Result<()> {
    fs_err::create_dir_all(COPIES)?;
    for (number, file) in files.iter().enumerate() {
        let copy = Path::new(COPIES).join(number.to_string());
        fs_err::copy(file, &copy)?;
        mount_bind(&copy, file).with_context(|| format!("put a copy on {}", file.display()))?;
    }
    Ok(())
}

/// The exit code by which a shell would tell this.
fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_a_shell() {
        assert_eq!(code_of(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(code_of(ExitStatus::from_raw(9)), 137);
    }
}
