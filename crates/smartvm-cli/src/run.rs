//! `smartvm run`: boot a guest, be its console, end with it.
//!
//! The command owns the VM. When it ends, for whatever reason, so does the guest, and
//! nothing of it is left on the host.

mod args;
mod configuration;
mod console;
mod devices;
mod drive;
pub(crate) mod escape;
mod image;
pub(crate) mod interrupts;
pub(crate) mod jail;
mod job;
mod memory;
mod network;
mod orders;
mod outcome;
mod report;
mod session;
pub(crate) mod terminal;
mod vsock;

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use smartvm::control::ControlServer;
use smartvm::{MicroVm, SmartVm, SmartVmError};
use tokio::runtime::Runtime;

pub(crate) use self::args::RunArgs;
use self::interrupts::{Interrupt, Interrupts};
use self::job::Job;
use self::report::{ReportFile, RunReport};
use self::session::Session;
use self::terminal::InputMode;
use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::{Settings, absolute};

/// How long a thread that is stuck in a system call may hold up the command's end.
pub(crate) const SHUTDOWN: Duration = Duration::from_millis(200);

/// Boots the guest and stays until it has ended.
pub(crate) fn perform(
    args: &RunArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<Exit, Failure> {
    let network = args.devices.network_flags.clone();
    let wireguard = network.wireguard.options()?;
    let verify_key = args.verify.as_deref().map(absolute).transpose()?;
    let settings = &Settings { network, wireguard, verify_key, ..settings.clone() };
    // Until the VM has ended: nobody removes it meanwhile.
    let mut image = None;
    let make = || {
        image = image::ensure(args, settings, printer)?;
        let bundle = image.as_ref().map(|image| &image.bundle);
        let config = configuration::assemble(args, bundle, settings)?;
        Ok(move |manager: &SmartVm| manager.create_vm(&config))
    };
    let attending = match args.job()? {
        Some(job) => Attending::Program(job),
        None => Attending::Console { no_stdin: args.no_stdin },
    };
    attend(make, args.report.as_deref(), attending, settings, printer)
}

/// What of a VM is ours while it runs.
#[derive(Debug)]
pub(crate) enum Attending {
    /// Its console.
    Console {
        /// Whether it gets no input.
        no_stdin: bool,
    },
    /// One program in it.
    Program(Job),
}

/// Starts the VM that `make` describes, and stays until it has ended.
pub(crate) fn attend<Describe>(
    make: impl FnOnce() -> Result<Describe, Failure>,
    report_path: Option<&Path>,
    attending: Attending,
    settings: &Settings,
    printer: Printer,
) -> Result<Exit, Failure>
where
    Describe: FnOnce(&SmartVm) -> Result<MicroVm, SmartVmError>,
{
    // Without it there are fewer, and what needs one more says so.
    let _ = smartvm_firecracker::raise_open_files();
    let file = report_path.map(ReportFile::create).transpose()?;
    let mut report = RunReport::new();
    let runtime = runtime()?;
    let outcome = make().and_then(|describe| {
        runtime.block_on(own(describe, attending, settings, printer, &mut report))
    });
    runtime.shutdown_timeout(SHUTDOWN);
    report.note_outcome(&outcome);
    match file.map_or(Ok(()), |file| file.write(&report)) {
        Err(unwritten) if outcome.is_ok() => Err(unwritten),
        Err(unwritten) => {
            printer.failure(&unwritten);
            outcome
        }
        Ok(()) => outcome,
    }
}

/// The runtime that the library works in.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    // Two threads: what waits for the VM is never held up by what it logs.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|error| Failure::new("NO_RUNTIME", "failed to start threads").caused_by(&error))
}

/// Makes the VM, attends it and removes it, whatever happens in between.
async fn own(
    describe: impl FnOnce(&SmartVm) -> Result<MicroVm, SmartVmError>,
    attending: Attending,
    settings: &Settings,
    printer: Printer,
    report: &mut RunReport,
) -> Result<Exit, Failure> {
    let mut interrupts = Interrupts::catch()
        .map_err(|error| Failure::new("NO_SIGNALS", "failed to catch signals").caused_by(&error))?;
    let opened = tokio::select! {
        biased;
        interrupt = interrupts.next() => return Ok(interrupt.exit()),
        opened = SmartVm::open(settings.options()) => opened,
    };
    let manager = opened.map_err(|e| Failure::of(&e, e.code(), e.hint()))?;
    let vm = describe(&manager).map_err(|e| Failure::of(&e, e.code(), e.hint()))?;
    report.id = Some(vm.id().to_string());
    report.note_state(vm.state());
    let outcome = match start(&vm, &mut interrupts, printer, report).await {
        Ok(None) => {
            let _asked_from_outside = serve_control(&vm, printer);
            match attending {
                Attending::Console { no_stdin } => {
                    let mode = InputMode::choose(no_stdin);
                    Session::new(&vm, mode, printer, report).attend(&mut interrupts).await
                }
                Attending::Program(job) => {
                    let outcome = job.attend(&vm, printer).await;
                    report.note_state(vm.state());
                    if let Some(end) = vm.wait().await {
                        report.note_end(&end);
                    }
                    outcome
                }
            }
        }
        Ok(Some(interrupted)) => Ok(interrupted),
        Err(failure) => Err(failure),
    };
    let cleaned = manager.cleanup().await;
    match cleaned.map_err(|e| Failure::of(&e, "CLEANUP_FAILED", None)) {
        Err(left) if outcome.is_ok() => Err(left),
        Err(left) => {
            printer.failure(&left);
            outcome
        }
        Ok(()) => outcome,
    }
}

/// Lets `smartvm snapshot create` and the like reach the VM. It runs without that too.
fn serve_control(vm: &MicroVm, printer: Printer) -> Option<ControlServer> {
    match vm.serve_control() {
        Ok(server) => Some(server),
        // It may have ended already, and its directory with it.
        Err(_) if !vm.state().is_live() => None,
        Err(error) => {
            printer.warning(&format!("the VM cannot be saved from outside: {error}"));
            None
        }
    }
}

/// Starts the VM; a signal meanwhile ends it and is returned as the command's end.
async fn start(
    vm: &MicroVm,
    interrupts: &mut Interrupts,
    printer: Printer,
    report: &mut RunReport,
) -> Result<Option<Exit>, Failure> {
    let mut interrupted = None;
    let mut states = vm.watch_state();
    let mut starting = pin!(vm.start());
    let started = loop {
        tokio::select! {
            biased;
            started = &mut starting => break started,
            interrupt = interrupts.next() => {
                interrupted = interrupted.or(Some(interrupt));
                // It fails only when the VM is gone, which is what was wanted.
                drop(vm.kill().await);
            }
            Ok(()) = states.changed() => {
                let state = *states.borrow_and_update();
                report.note_state(state);
            }
        }
    };
    report.note_state(vm.state());
    report.pid = vm.process_id().ok();
    match started {
        _ if interrupted.is_some() => Ok(interrupted.map(Interrupt::exit)),
        Ok(started) => {
            report.note_start(&started);
            jail::tell(started.confinement.as_ref(), printer);
            Ok(None)
        }
        Err(error) => {
            let output = error.process_exit().map_or("", |exit| exit.output.as_str());
            let failure = Failure::of(&error, error.code(), error.hint());
            Err(failure.with_last_output(output))
        }
    }
}
