//! A running guest, the person or script in front of it, and what ends it.

use std::io;
use std::pin::pin;
use std::time::Duration;

use rustix::io::Errno;
use smartvm::{MicroVm, SmartVmError, VmEnd};

use super::console;
use super::escape::{self, Key};
use super::interrupts::{Escalation, Interrupt, Interrupts, Urgency};
use super::orders::{Done, Orders};
use super::outcome::{Reason, Verdict};
use super::report::RunReport;
use super::terminal::{InputMode, RawMode};
use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::printer::Printer;

/// How long a guest that is stopped may take to shut down by itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the output may take for the last of the console when the guest was ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Watches over one running VM until it has ended.
pub(super) struct Session<'a> {
    vm: &'a MicroVm,
    mode: InputMode,
    printer: Printer,
    report: &'a mut RunReport,
    escalation: Escalation,
    reason: Option<Reason>,
    output_error: Option<io::Error>,
    orders: Orders,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        vm: &'a MicroVm,
        mode: InputMode,
        printer: Printer,
        report: &'a mut RunReport,
    ) -> Self {
        Self {
            vm,
            mode,
            printer,
            report,
            escalation: Escalation::default(),
            reason: None,
            output_error: None,
            orders: Orders::new(vm.clone()),
        }
    }

    /// Connects console and keyboard, and returns when the guest has ended and its whole
    /// console is shown.
    pub(super) async fn attend(mut self, interrupts: &mut Interrupts) -> Result<Exit, Failure> {
        let console = self.vm.console().map_err(|e| Failure::of(&e, e.code(), e.hint()))?;
        let mut output_closed = pin!(console::output_closed());
        let raw = match self.mode {
            InputMode::RawTerminal => Some(enter_raw_mode()?),
            InputMode::PassThrough | InputMode::None => None,
        };
        if raw.is_some() {
            self.printer.status("the keyboard is the guest's; Ctrl-] ? lists the keys for smartvm");
        }
        let mut shown = tokio::spawn(console::show(console.reader(), self.printer));
        let mut keys = console::carry_input(self.mode, console);
        let mut states = self.vm.watch_state();
        let mut ended = pin!(self.vm.wait());
        let mut showing = true;

        let end = loop {
            tokio::select! {
                biased;
                end = &mut ended => break end,
                interrupt = interrupts.next() => self.interrupted(interrupt),
                Some(key) = keys.recv() => self.pressed(&key),
                Some(done) = self.orders.next() => self.done(done),
                written = &mut shown, if showing => {
                    showing = false;
                    if let Ok(Err(error)) = written {
                        self.output_failed(error);
                    }
                }
                () = &mut output_closed, if self.output_error.is_none() => {
                    self.output_failed(io::ErrorKind::BrokenPipe.into());
                }
                Ok(()) = states.changed() => {
                    let state = *states.borrow_and_update();
                    self.report.note_state(state);
                }
            }
        };
        if showing && self.output_error.is_none() {
            // What is not shown yet waits for a slow reader, unless the end was asked for.
            tokio::select! {
                written = &mut shown => self.output_error = written.ok().and_then(Result::err),
                () = tokio::time::sleep(LAST_WORDS), if self.reason.is_some() => {}
                _ = interrupts.next() => {}
            }
        }
        while let Some(done) = self.orders.next().await {
            self.done(done);
        }
        self.report.note_state(self.vm.state());
        drop(raw);
        self.outcome(end.as_ref())
    }

    /// A guest whose console nobody can see is ended at once, as a program in a pipeline is.
    fn output_failed(&mut self, error: io::Error) {
        if error.raw_os_error() == Some(Errno::IO.raw_os_error()) {
            // The terminal is gone. SIGHUP says so as well, and whether it matters.
            tracing::debug!(%error, "the console is not shown any more");
            return;
        }
        self.output_error = Some(error);
        self.kill(Reason::OutputFailed);
    }

    fn interrupted(&mut self, interrupt: Interrupt) {
        match self.escalation.note(interrupt) {
            Urgency::Gently => {
                // On a raw terminal Ctrl-C is the guest's.
                let insist = match interrupt {
                    _ if self.mode == InputMode::RawTerminal => "Ctrl-] k",
                    Interrupt::Int => "Ctrl-C again",
                    Interrupt::Term | Interrupt::Hup => "SIGTERM",
                };
                self.printer.status(&format!("stopping ({insist} ends it at once)"));
                self.stop(Reason::Interrupt(interrupt), PATIENCE);
            }
            Urgency::AtOnce => self.kill(Reason::Interrupt(interrupt)),
            Urgency::Nothing => {}
        }
    }

    fn pressed(&mut self, key: &Key) {
        match key {
            Key::PauseOrResume => {
                if let Err(state) = self.orders.pause_or_resume() {
                    self.printer.status(&format!("cannot pause: the VM is {state}"));
                }
            }
            Key::Stop => {
                self.printer.status("stopping (Ctrl-] k ends it at once)");
                self.stop(Reason::Key, PATIENCE);
            }
            Key::Kill => self.kill(Reason::Key),
            Key::Help => self.printer.status(escape::HELP),
            Key::Unknown(byte) => self.printer.status(&format!(
                "Ctrl-] {} means nothing; Ctrl-] ? lists the keys",
                byte.escape_ascii()
            )),
            // The guest has these already.
            Key::Guest(_) => {}
        }
    }

    fn stop(&mut self, reason: Reason, patience: Duration) {
        self.reason.get_or_insert(reason);
        self.orders.stop(patience);
    }

    fn kill(&mut self, reason: Reason) {
        self.reason.get_or_insert(reason);
        self.orders.kill();
    }

    fn done(&mut self, done: Result<Done, SmartVmError>) {
        match done {
            Ok(Done::Paused) => self.printer.status("paused (Ctrl-] p resumes)"),
            Ok(Done::Resumed) => self.printer.status("resumed"),
            Ok(Done::Stopped(stop)) => self.report.note_stop(&stop),
            Ok(Done::Killed) => {}
            // The guest's end may overtake what was asked of it.
            Err(error) if self.reason.is_some() => tracing::debug!(%error, "too late"),
            Err(error) => self.printer.warning(&one_line(&error)),
        }
    }

    fn outcome(self, end: Option<&VmEnd>) -> Result<Exit, Failure> {
        if let Some(end) = end {
            self.report.note_end(end);
        }
        let verdict = Verdict::new(end.map(|end| end.cause), self.reason);
        if let Some(status) = verdict.status() {
            self.printer.status(status);
        }
        match self.output_error {
            Some(error) if verdict.is_ok() => Err(Failure::writing_output(&error)),
            _ => verdict.into_result(end),
        }
    }
}

fn enter_raw_mode() -> Result<RawMode, Failure> {
    RawMode::enter().map_err(|error| {
        Failure::new("TERMINAL_FAILED", "failed to put the terminal into raw mode")
            .caused_by(&error)
            .with_hint("--no-stdin leaves the terminal alone")
    })
}

/// An error and its causes in one line, for a warning.
fn one_line(error: &SmartVmError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        text.push_str(&format!(": {source}"));
        next = source.source();
    }
    text
}
