//! `smartvm exec`: one more program in a guest that runs.

use std::ffi::OsString;
use std::time::Duration;

use smartvm::VmId;
use smartvm::control;

use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::guest_program::{GuestSignals, ProgramArgs, StreamArgs, attend, of_guest, of_unstarted};
use crate::printer::Printer;
use crate::run;
use crate::settings::Settings;

/// Run a program in the guest of a VM that runs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Its output and errors come apart, and its exit code is that of this command; 128 and the number when a signal ended it,
125 when smartvm failed, 126 when the program cannot be executed, 127 when there is none of that name. It is ended with this
command, unless it was started with -d. SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 are passed on to it; the third
that asks for the end ends it. On a terminal with -it, Ctrl-] k does. With --json, a line on stderr says how it ended.

The guest needs smartvm-agent, as the initramfs of an imported kernel brings it, and the VM a vsock.

Examples:
  smartvm exec web -- uname -a
  smartvm exec -it web sh
  smartvm exec -e CI=1 -w /src -u build web -- make test
  tar c . | smartvm exec -i web -- tar x -C /src")]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    program: ProgramArgs,
    #[command(flatten)]
    streams: StreamArgs,
    /// Let the program go on by itself, and print its number
    #[arg(short, long, conflicts_with_all = ["interactive", "tty"])]
    detach: bool,
    /// End the program after this time
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    /// How long to wait for a guest that still boots
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    wait: Duration,
    /// The VM's id
    #[arg(value_name = "VM")]
    vm: VmId,
    /// The program and its arguments
    #[arg(
        value_name = "CMD",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    argv: Vec<OsString>,
}

/// Runs it.
pub(crate) fn perform(
    args: &ExecArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<Exit, Failure> {
    carry_out(args, settings, printer).map_err(Failure::of_program)
}

fn carry_out(args: &ExecArgs, settings: &Settings, printer: Printer) -> Result<Exit, Failure> {
    let runtime = run::runtime()?;
    let guest = control::guest(&settings.runtime_dir, &args.vm, args.wait);
    let mut command = args.program.describe(&guest, &args.argv, args.streams)?;
    if let Some(after) = args.timeout {
        command = command.timeout(after);
    }
    let outcome = runtime.block_on(async {
        let mut signals = GuestSignals::catch().map_err(|error| {
            Failure::new("NO_SIGNALS", "failed to catch signals").caused_by(&error)
        })?;
        if args.detach {
            let child = command.keep().spawn().await.map_err(|error| of_unstarted(&error))?;
            let number = child.detach().await.map_err(|error| of_guest(&error))?;
            printer.data(&number.to_string())?;
            return Ok(Exit::Ok);
        }
        attend(command, args.streams, &mut signals, printer).await
    });
    runtime.shutdown_timeout(run::SHUTDOWN);
    outcome
}
