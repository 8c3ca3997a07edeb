//! How a process ended.

use std::fmt;

use super::child::ChildEnd;
use super::exit_meaning::{code_meaning, signal_meaning};
use crate::console::Output;

/// As much of the last output as is kept with the exit, in bytes.
const OUTPUT_LIMIT: usize = 4096;

/// How a Firecracker process ended and what it said last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessExit {
    /// The exit code, when it exited.
    pub code: Option<i32>,
    /// The signal's number, when a signal killed it.
    pub signal: Option<i32>,
    /// The last lines of the console and then of Firecracker's log, at most 4 KiB.
    pub output: String,
}

impl ProcessExit {
    pub(super) fn new(end: ChildEnd, console: &Output, log: &Output) -> Self {
        Self { code: end.code, signal: end.signal, output: last_output(console, log) }
    }

    /// What the exit code or signal stands for. Firecracker gives a guest's restart as well as its
    /// own orderly end the code 0.
    #[must_use]
    pub fn meaning(&self) -> &'static str {
        match (self.code, self.signal) {
            (Some(code), _) => code_meaning(code),
            (None, Some(signal)) => signal_meaning(signal),
            (None, None) => "its end was collected by other code of this program",
        }
    }

    /// Whether it ended of its own will and without a failure.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.code == Some(0)
    }
}

impl fmt::Display for ProcessExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exited with code {code}: {}", self.meaning()),
            (None, Some(signal)) => write!(f, "ended by signal {signal}: {}", self.meaning()),
            (None, None) => write!(f, "ended: {}", self.meaning()),
        }
    }
}

/// The ends of both streams in whole lines. Each has half of the room, and what the other leaves.
fn last_output(console: &Output, log: &Output) -> String {
    let half = OUTPUT_LIMIT / 2;
    // Room for a newline between them and for bytes that grow when made into text.
    let log_tail = last_lines(log, OUTPUT_LIMIT - half.min(console.kept()) - 1);
    let console_tail = last_lines(console, OUTPUT_LIMIT - 1 - log_tail.len());
    match (console_tail.is_empty(), log_tail.is_empty()) {
        (false, false) => format!("{}\n{log_tail}", console_tail.trim_end_matches('\n')),
        _ => console_tail + &log_tail,
    }
}

/// The last whole lines of a stream in at most `max` bytes; one long line is cut in front.
fn last_lines(output: &Output, max: usize) -> String {
    let text = output.tail_text(max);
    // What is not text takes more room as text than it had as bytes.
    let is_all = output.is_within(max) && text.len() <= max;
    let cut = text.len().saturating_sub(max);
    let text = &text[text.ceil_char_boundary(cut)..];
    match text.split_once('\n') {
        Some((_, rest)) if !is_all && !rest.is_empty() => rest.to_owned(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(text: &str) -> Output {
        let (writer, output) = Output::new(64 * 1024);
        writer.write(text.as_bytes());
        output
    }

    fn exit(code: Option<i32>, signal: Option<i32>) -> ProcessExit {
        ProcessExit { code, signal, output: String::new() }
    }

    #[test]
    fn an_exit_says_what_its_code_means() {
        assert_eq!(
            exit(Some(148), None).to_string(),
            "exited with code 148: a forbidden system call (seccomp)"
        );
        assert_eq!(exit(None, Some(9)).to_string(), "ended by signal 9: killed by SIGKILL");
        assert!(exit(Some(0), None).is_clean());
        assert!(!exit(None, Some(15)).is_clean());
    }

    #[test]
    fn the_console_comes_before_the_log() {
        let text = last_output(&output("booting\npanic\n"), &output("exiting\n"));
        assert_eq!(text, "booting\npanic\nexiting\n");
        assert_eq!(last_output(&output(""), &output("exiting\n")), "exiting\n");
        assert_eq!(last_output(&output("panic"), &output("")), "panic");
    }

    #[test]
    fn a_noisy_console_leaves_room_for_the_log() {
        let noise = "noise, noise, noise\n".repeat(1000);
        let text = last_output(&output(&noise), &output("the reason\n"));
        assert!(text.len() <= OUTPUT_LIMIT && text.len() > OUTPUT_LIMIT / 2);
        assert!(text.starts_with("noise, ") && text.ends_with("\nthe reason\n"), "{text}");
    }

    #[test]
    fn bytes_that_are_not_text_do_not_exceed_the_limit() {
        let (writer, console) = Output::new(64 * 1024);
        writer.write(&[0xff; 8192]);
        assert!(last_output(&console, &output("log\n")).len() <= OUTPUT_LIMIT);
    }
}
