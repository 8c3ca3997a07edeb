//! `smartvm cp`: files into a guest and out of it.

mod place;
mod receive;
mod send;

use std::time::Duration;

use smartvm::control;

use self::place::Place;
use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::run;
use crate::settings::Settings;

/// Copy a file into the guest of a VM that runs, or out of it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A path of a guest is VM:/PATH. `-` is standard input or output: a tar stream, of which a directory of the guest is made or
which is made of a file or directory of the guest. A file is written beside its place first and put there when it is whole;
it belongs to root in the guest and to you on the host.

Examples:
  smartvm cp app.conf web:/etc/app.conf
  smartvm cp web:/var/log/app.log .
  tar c src | smartvm cp - web:/srv
  smartvm cp web:/srv/src - | tar x")]
pub(crate) struct CpArgs {
    /// How long to wait for a guest that still boots
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    wait: Duration,
    /// What to copy
    #[arg(value_name = "[VM:]SRC")]
    from: Place,
    /// Where to
    #[arg(value_name = "[VM:]DST")]
    to: Place,
}

/// Copies it.
pub(crate) fn perform(
    args: &CpArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<Exit, Failure> {
    let runtime = run::runtime()?;
    let guest = |vm| control::guest(&settings.runtime_dir, vm, args.wait);
    let outcome = runtime.block_on(async {
        match (&args.from, &args.to) {
            (Place::Guest { vm, path }, Place::Stream) => {
                receive::tree(&guest(vm), path, printer).await
            }
            (Place::Guest { vm, path }, Place::Host(to)) => {
                receive::file(&guest(vm), path, to).await
            }
            (Place::Stream, Place::Guest { vm, path }) => send::tree(&guest(vm), path).await,
            (Place::Host(from), Place::Guest { vm, path }) => {
                send::file(&guest(vm), from, path).await
            }
            _ => Err(Failure::new("USAGE", "exactly one of the two must be in a guest")
                .with_hint("write it as VM:/PATH")),
        }
    });
    runtime.shutdown_timeout(run::SHUTDOWN);
    outcome.map(|()| Exit::Ok)
}
