//! Why the command failed, and how that is shown.
//!
//! For people:
//!
//! ```text
//! error: failed to start vm `web`
//!   caused by: failed to open firecracker at /opt/firecracker
//!   caused by: no such file or directory
//!
//! hint: install Firecracker, or point --firecracker at it
//! ```
//!
//! With `--json`, one line on stderr:
//! `{"error":{"code":"…","message":"…","causes":["…"],"hint":"…"}}`, where `code`
//! is stable, `causes` may be empty and `hint` may be null.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;

use anstyle::{AnsiColor, Style};
use rustix::io::Errno;
use serde::Serialize;

use crate::exit_code::Exit;

/// How many lines of a failed process' output are shown: the reason is in the last ones.
const OUTPUT_LINES: usize = 10;

/// A failure on its way to the person or script that called us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Failure {
    #[serde(skip)]
    exit: Exit,
    code: Cow<'static, str>,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    /// A failure of our own; the exit code follows from `code`.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            exit: Exit::for_error_code(code),
            code: Cow::Borrowed(code),
            message: message.into(),
            causes: Vec::new(),
            hint: None,
        }
    }

    /// A failure of a library, with its whole chain of causes.
    pub(crate) fn of(
        error: &(dyn Error + 'static),
        code: &'static str,
        hint: Option<String>,
    ) -> Self {
        let mut failure = Self { hint, ..Self::new(code, error.to_string()) };
        if failure.hint.is_none() && lacks_descriptors(error) {
            failure.hint = Some(
                "too many files are open: raise the limit of this process (`ulimit -n`, LimitNOFILE= \
                 of a service), or the system's (`sysctl fs.file-max`)"
                    .to_owned(),
            );
        }
        match error.source() {
            Some(source) => failure.caused_by(source),
            None => failure,
        }
    }

    /// A failure that another process told us of, with a code that is stable there.
    pub(crate) fn told(
        code: String,
        message: String,
        causes: Vec<String>,
        hint: Option<String>,
    ) -> Self {
        Self { exit: Exit::for_error_code(&code), code: Cow::Owned(code), message, causes, hint }
    }

    /// A failure to write what was asked for. A closed pipe is not worth a message.
    pub(crate) fn writing_output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new("OUTPUT_CLOSED", "nobody reads the output any more");
        }
        Self::new("OUTPUT_FAILED", "failed to write to standard output").caused_by(error)
    }

    /// Adds `source` and everything behind it. Where it says that a file that was named is not there, the exit code
    /// says so as well.
    pub(crate) fn caused_by(mut self, source: &(dyn Error + 'static)) -> Self {
        let kinds = io_kinds(source).into_iter();
        if let Some(exit) = kinds.filter_map(|kind| Exit::for_named_file(&self.code, kind)).next() {
            self.exit = exit;
        }
        let mut next: Option<&dyn Error> = Some(source);
        while let Some(error) = next {
            let text = error.to_string();
            // A transparent wrapper says what its source says.
            if self.causes.last().unwrap_or(&self.message) != &text {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    /// Adds the last lines that a failed process wrote; nothing when it wrote nothing.
    pub(crate) fn with_last_output(mut self, output: &str) -> Self {
        let lines: Vec<_> = output.lines().filter(|line| !line.trim().is_empty()).collect();
        if !lines.is_empty() {
            let last = &lines[lines.len().saturating_sub(OUTPUT_LINES)..];
            self.causes.push(format!("its last output was\n{}", last.join("\n")));
        }
        self
    }

    /// With another exit code than the one that follows from its code.
    pub(crate) fn with_exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// The failure of a verb whose exit code is a program's: one of ours is 125, as of docker, unless it says something of the
    /// program, or of the output.
    pub(crate) fn of_program(self) -> Self {
        match self.exit {
            Exit::Program(_) | Exit::OutputClosed | Exit::Bug => self,
            _ => self.with_exit(Exit::NotRun),
        }
    }

    /// Says what the person can do about it.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The stable code.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// What the command ends with.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// The line for `--json`, without its line end.
    pub(crate) fn to_json(&self) -> String {
        serde_json::json!({ "error": self }).to_string()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let red = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
        let cyan = Style::new().fg_color(Some(AnsiColor::Cyan.into())).bold();
        write!(f, "{red}error:{red:#} {}", indented(&self.message))?;
        for cause in &self.causes {
            write!(f, "\n  caused by: {}", indented(cause))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n\n{cyan}hint:{cyan:#} {}", indented(hint))?;
        }
        Ok(())
    }
}

/// What the system said, where something in the chain is an error of it.
fn io_kinds(error: &(dyn Error + 'static)) -> Vec<io::ErrorKind> {
    let chain = std::iter::successors(Some(error), |&error| error.source());
    chain.filter_map(|error| error.downcast_ref::<io::Error>().map(io::Error::kind)).collect()
}

/// Whether something in the chain says that no more files can be open.
fn lacks_descriptors(error: &(dyn Error + 'static)) -> bool {
    let mut chain = std::iter::successors(Some(error), |&error| error.source());
    chain.any(|error| {
        let error = error.downcast_ref::<io::Error>().and_then(Errno::from_io_error);
        matches!(error, Some(Errno::MFILE | Errno::NFILE))
    })
}

/// Keeps the further lines of a message (a process' last output, say) apart from
/// the lines that begin with `error:` and the like, and shows no control bytes:
/// what a guest printed may be part of a message.
fn indented(text: &str) -> String {
    let visible = text.trim_end().chars().filter(|&c| c == '\n' || c == '\t' || !c.is_control());
    visible.collect::<String>().replace('\n', "\n    ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to start vm `web`")]
    struct StartError(#[source] io::Error);

    fn plain(failure: &Failure) -> String {
        anstream::adapter::strip_str(&failure.to_string()).to_string()
    }

    #[test]
    fn the_chain_and_the_hint_are_shown_on_lines_of_their_own() {
        let error = StartError(io::Error::other("no such device"));
        let failure = Failure::of(&error, "START_FAILED", Some("load the kvm module".into()));
        assert_eq!(
            plain(&failure),
            "error: failed to start vm `web`\n  caused by: no such device\n\nhint: load the kvm module"
        );
    }

    #[test]
    fn a_named_file_that_is_missing_counts_as_not_found() {
        let error = StartError(io::ErrorKind::NotFound.into());
        assert_eq!(Failure::of(&error, "KERNEL_UNREADABLE", None).exit(), Exit::NotFound);
        assert_eq!(Failure::of(&error, "START_FAILED", None).exit(), Exit::Failed);
        let error = StartError(io::ErrorKind::PermissionDenied.into());
        assert_eq!(Failure::of(&error, "KERNEL_UNREADABLE", None).exit(), Exit::Failed);
    }

    #[test]
    fn a_target_that_is_there_already_counts_as_a_conflict() {
        let error = StartError(io::ErrorKind::AlreadyExists.into());
        assert_eq!(Failure::of(&error, "ROOTFS_CREATE_FAILED", None).exit(), Exit::Conflict);
        assert_eq!(Failure::of(&error, "START_FAILED", None).exit(), Exit::Failed);
    }

    #[test]
    fn a_lack_of_descriptors_has_one_hint_whatever_was_opened() {
        for errno in [Errno::MFILE, Errno::NFILE] {
            let failure = Failure::of(&StartError(errno.into()), "KERNEL_UNREADABLE", None);
            assert!(plain(&failure).contains("hint: too many files are open"), "{failure}");
        }
        let failure = Failure::of(&StartError(Errno::ACCESS.into()), "KERNEL_UNREADABLE", None);
        assert!(!plain(&failure).contains("hint"), "{failure}");
    }

    #[test]
    fn the_json_form_has_every_key_even_when_there_is_no_hint() {
        let failure = Failure::new("KERNEL_NOT_FOUND", "no kernel is called `x`");
        assert_eq!(
            failure.to_json(),
            r#"{"error":{"causes":[],"code":"KERNEL_NOT_FOUND","hint":null,"message":"no kernel is called `x`"}}"#
        );
    }

    #[test]
    fn a_cause_that_repeats_the_message_is_left_out() {
        let error = io::Error::other("disk full");
        let failure = Failure::new("X", "disk full").caused_by(&error);
        assert_eq!(plain(&failure), "error: disk full");
    }

    #[test]
    fn output_of_a_guest_cannot_move_the_cursor() {
        let failure = Failure::new("X", "last output: \x1b[2Jboo\nsecond line\n");
        assert_eq!(plain(&failure), "error: last output: [2Jboo\n    second line");
        assert!(!failure.to_string().contains("\x1b[2J"));
    }

    #[test]
    fn a_closed_pipe_has_an_exit_code_of_its_own() {
        let closed = Failure::writing_output(&io::ErrorKind::BrokenPipe.into());
        assert_eq!(closed.exit(), Exit::OutputClosed);
        let full = Failure::writing_output(&io::ErrorKind::StorageFull.into());
        assert_eq!(full.exit(), Exit::Failed);
    }
}
