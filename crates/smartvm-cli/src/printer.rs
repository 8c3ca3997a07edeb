//! The only place that prints.
//!
//! Standard output carries what was asked for (data, the guest's console),
//! standard error what happened (status, warnings, errors, logs). Colours follow
//! the terminal, `NO_COLOR` and `CLICOLOR_FORCE`.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::failure::Failure;

/// Whether the terminal is in raw mode, where a line must end in `\r\n`.
///
/// Global because a terminal is: logs and panics reach it from any thread.
static RAW: AtomicBool = AtomicBool::new(false);

/// Whether the console of the guest left the cursor inside a line.
static MID_LINE: AtomicBool = AtomicBool::new(false);

/// Prints for one command, as its flags say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    json: bool,
    quiet: bool,
}

impl Printer {
    /// With `json`, errors are JSON and status lines are left out; with `quiet`,
    /// status lines are left out.
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Whether data is to be JSON.
    pub(crate) fn wants_json(self) -> bool {
        self.json
    }

    /// Whether status lines are shown.
    pub(crate) fn shows_status(self) -> bool {
        !self.quiet && !self.json
    }

    /// Writes data: `text` and a line end.
    pub(crate) fn data(self, text: &str) -> Result<(), Failure> {
        let mut out = anstream::stdout().lock();
        writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|e| Failure::writing_output(&e))
    }

    /// Writes data as JSON, indented for the people who look at it too.
    pub(crate) fn json(self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|e| Failure::new("BUG", "failed to write a value as JSON").caused_by(&e))?;
        self.data(&text)
    }

    /// Writes the guest's console as it came.
    pub(crate) fn console(self, bytes: &[u8]) -> io::Result<()> {
        if let Some(last) = bytes.last() {
            MID_LINE.store(*last != b'\n', Ordering::Relaxed);
        }
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush())
    }

    /// Writes what a program in the guest says.
    pub(crate) fn program_output(self, bytes: &[u8]) -> io::Result<()> {
        self.console(bytes)
    }

    /// Writes what a program in the guest says on its standard error.
    pub(crate) fn program_errors(self, bytes: &[u8]) -> io::Result<()> {
        let mut err = io::stderr().lock();
        err.write_all(bytes).and_then(|()| err.flush())
    }

    /// With `--json`, a line on stderr that is no error.
    pub(crate) fn event(self, value: &impl Serialize) {
        if let Ok(text) = serde_json::to_string(value) {
            line(&text);
        }
    }

    /// Says what happens: `smartvm: paused`.
    pub(crate) fn status(self, text: &str) {
        if self.shows_status() {
            let dim = Style::new().dimmed();
            line(&format!("{dim}smartvm:{dim:#} {text}"));
        }
    }

    /// Says what may be wrong although the operation goes on. Shown with `--quiet` too.
    pub(crate) fn warning(self, text: &str) {
        if !self.json {
            let yellow = Style::new().fg_color(Some(AnsiColor::Yellow.into())).bold();
            line(&format!("{yellow}warning:{yellow:#} {text}"));
        }
    }

    /// Shows why the command failed. A closed output is silent: its reader has
    /// what it wanted.
    pub(crate) fn failure(self, failure: &Failure) {
        if failure.exit() == crate::exit_code::Exit::OutputClosed {
            return;
        }
        if self.json {
            line(&failure.to_json());
        } else {
            line(&failure.to_string());
        }
    }

    /// Shows what clap has to say: help on stdout, mistakes on stderr.
    pub(crate) fn clap(self, error: &clap::Error) {
        if self.json && error.use_stderr() {
            let text = error.render().to_string();
            let message = text.lines().next().unwrap_or_default();
            let message = message.strip_prefix("error: ").unwrap_or(message);
            let hint = "`smartvm --help` and `smartvm help VERB` show the usage";
            self.failure(&Failure::new("USAGE", message).with_hint(hint));
        } else {
            // Nothing is left to tell it to when this fails.
            let _ = error.print();
        }
    }
}

/// Tells the printer that the terminal entered or left raw mode.
pub(crate) fn set_raw(raw: bool) {
    RAW.store(raw, Ordering::Relaxed);
}

/// Where log lines go: stderr, with line ends that fit the terminal's mode.
#[derive(Debug, Default)]
pub(crate) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        line(text.trim_end_matches('\n'));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One line, or a few, on stderr. A stderr that is gone is ignored: it must not
/// keep the guest from being ended properly.
fn line(text: &str) {
    let mut err = anstream::stderr().lock();
    let begin = if on_the_console_line() { "\n" } else { "" };
    let mut text = format!("{begin}{text}\n");
    if RAW.load(Ordering::Relaxed) {
        text = text.replace('\n', "\r\n");
    }
    let _ = err.write_all(text.as_bytes());
}

/// Whether a line on stderr would be glued to what the guest printed last.
fn on_the_console_line() -> bool {
    MID_LINE.load(Ordering::Relaxed)
        && io::stdout().is_terminal()
        && io::stderr().is_terminal()
        && MID_LINE.swap(false, Ordering::Relaxed)
}
