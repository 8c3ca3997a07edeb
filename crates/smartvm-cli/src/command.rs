//! From the command line to an exit code.

use std::panic::{self, AssertUnwindSafe};

use clap::Parser;

use crate::args::{Args, Verb};
use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::run::terminal;
use crate::settings::Settings;
use crate::{
    api, audit, completions, cp, doctor, exec, firecracker, image, kernel, logging, metrics, net,
    rootfs, run, snapshot, version,
};

/// Does what the command line says; a panic becomes [`Exit::Bug`].
pub(crate) fn main() -> Exit {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        // The message is unreadable on a raw terminal.
        terminal::restore();
        report(info);
    }));
    panic::catch_unwind(AssertUnwindSafe(parse_and_perform)).unwrap_or_else(|_| {
        Printer::new(false, false).failure(
            &Failure::new("BUG", "smartvm failed in a way that it never should")
                .with_hint("please report it with the message above"),
        );
        Exit::Bug
    })
}

fn parse_and_perform() -> Exit {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // The flags are unknown when they cannot be parsed; this one decides the form.
            let json = std::env::args_os().any(|arg| arg == "--json");
            Printer::new(json, false).clap(&error);
            return if error.use_stderr() { Exit::Usage } else { Exit::Ok };
        }
    };
    let printer = Printer::new(args.global.json, args.global.quiet);
    logging::start(args.global.verbose);
    let outcome = Settings::resolve(&args.global).and_then(|settings| {
        settings.sweep_drafts();
        perform(args.verb, &settings, printer)
    });
    outcome.unwrap_or_else(|failure| {
        printer.failure(&failure);
        failure.exit()
    })
}

fn perform(verb: Verb, settings: &Settings, printer: Printer) -> Result<Exit, Failure> {
    match verb {
        Verb::Run(args) => run::perform(&args, settings, printer),
        Verb::Doctor => doctor::perform(settings, printer),
        Verb::Api(args) => api::perform(&args, settings, printer),
        Verb::Audit(args) => audit::perform(&args, settings, printer),
        Verb::Cp(args) => cp::perform(&args, settings, printer),
        Verb::Exec(args) => exec::perform(&args, settings, printer),
        Verb::Firecracker(args) => firecracker::perform(&args.verb, settings, printer),
        Verb::Image(args) => image::perform(&args.verb, settings, printer),
        Verb::Kernel(args) => kernel::perform(&args.verb, settings, printer),
        Verb::Metrics(args) => metrics::perform(&args, settings, printer),
        Verb::Rootfs(args) => rootfs::perform(&args.verb, settings, printer),
        Verb::Net(args) => net::perform(&args.verb, settings, printer),
        Verb::Snapshot(args) => snapshot::perform(&args.verb, settings, printer),
        Verb::Version => version::perform(settings, printer),
        Verb::Completions(args) => completions::perform(&args, printer),
    }
}
