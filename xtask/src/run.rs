//! The one place that runs other programs.
//!
//! A program gets no standard input, so nothing can ask. One that fails is reported with what was
//! run, how it ended, and the end of what it said.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use anyhow::{Context, bail};

use crate::environment;

/// How much of a program's output an error shows.
const SHOWN_LINES: usize = 25;

/// A program to run.
#[derive(Debug)]
pub(crate) struct Run {
    command: Command,
}

/// What a program that was listened to said.
#[derive(Debug)]
pub(crate) struct Heard {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// Standard output, then standard error.
    pub(crate) text: String,
}

impl Run {
    /// `program` with no arguments, in the checkout's root.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).current_dir(crate::workspace::root());
        Self { command }
    }

    /// Adds an argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it there.
    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Runs it with its output on ours.
    pub(crate) fn show(mut self) -> anyhow::Result<()> {
        let status = self.command.status().with_context(|| self.failed_to_start())?;
        if !status.success() {
            bail!("`{}` {}", self.argv(), ended(status));
        }
        Ok(())
    }

    /// Runs it without showing its output, and returns its standard output.
    pub(crate) fn read(mut self) -> anyhow::Result<String> {
        let output = self.command.output().with_context(|| self.failed_to_start())?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let all = format!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
            bail!("`{}` {}\n{}", self.argv(), ended(output.status), last_lines(&all, SHOWN_LINES));
        }
        Ok(stdout)
    }

    /// Runs it and returns its standard output, however it ends.
    pub(crate) fn ask(mut self) -> anyhow::Result<String> {
        let output = self.command.output().with_context(|| self.failed_to_start())?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs it, showing nothing unless it fails.
    pub(crate) fn quietly(self) -> anyhow::Result<()> {
        self.read().map(drop)
    }

    /// Runs it and says whether it went well; one that cannot be started did not.
    pub(crate) fn succeeds(mut self) -> bool {
        self.command.output().is_ok_and(|output| output.status.success())
    }

    /// Runs it with its output on ours, and keeps that output too.
    pub(crate) fn hear(mut self) -> anyhow::Result<Heard> {
        let mut child = self
            .command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| self.failed_to_start())?;
        let stdout = child.stdout.take().expect("it was piped");
        let stderr = child.stderr.take().expect("it was piped");
        let stdout = thread::spawn(move || copy(stdout, std::io::stdout(), ""));
        let stderr = thread::spawn(move || copy(stderr, std::io::stderr(), ""));
        let status = child.wait().with_context(|| format!("wait for `{}`", self.argv()))?;
        let mut text = stdout.join().expect("copying does not panic");
        text.extend(stderr.join().expect("copying does not panic"));
        Ok(Heard { status, text: String::from_utf8_lossy(&text).into_owned() })
    }

    /// What is to be run, for callers that must start it themselves.
    pub(crate) fn into_command(self) -> Command {
        self.command
    }

    fn argv(&self) -> String {
        std::iter::once(self.command.get_program())
            .chain(self.command.get_args())
            .map(OsStr::to_string_lossy)
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn failed_to_start(&self) -> String {
        format!("start `{}`", self.argv())
    }
}

/// How a program ended, in words.
pub(crate) fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// Where a program is, on `PATH` and in the directories of system programs.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = environment::variable("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|dir| dir.join(program))
        .find(|file| rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok())
}

/// Lets everybody run a file.
pub(crate) fn make_executable(file: &Path) -> anyhow::Result<()> {
    fs_err::set_permissions(file, Permissions::from_mode(0o755))?;
    Ok(())
}

/// The end of a text.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Copies to the end and returns all of it: as it comes, or line by line, each behind a `prefix`.
pub(crate) fn copy(mut from: impl Read, mut to: impl Write, prefix: &str) -> Vec<u8> {
    let mut all = Vec::new();
    // Where in `all` the first byte is that was not shown yet.
    let mut shown = 0;
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        all.extend_from_slice(&buffer[..count]);
        let whole = if prefix.is_empty() {
            all.len()
        } else {
            all[shown..].iter().rposition(|byte| *byte == b'\n').map_or(shown, |at| shown + at + 1)
        };
        show(&all[shown..whole], &mut to, prefix);
        shown = whole;
    }
    show(&all[shown..], &mut to, prefix);
    all
}

fn show(text: &[u8], to: &mut impl Write, prefix: &str) {
    let mut lines = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        lines.extend_from_slice(prefix.as_bytes());
        lines.extend_from_slice(line);
    }
    // Ours may have been closed; the program must still be read to its end.
    let _ = to.write_all(&lines).and_then(|()| to.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_what_was_run_how_it_ended_and_what_it_said() {
        let error = Run::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]).read();
        let message = error.expect_err("it exits 3").to_string();
        assert_eq!(message, "`sh -c echo out; echo err >&2; exit 3` exited with code 3\nout\nerr");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = Run::new("/nonexistent/program").show().expect_err("it is not there");
        assert_eq!(error.to_string(), "start `/nonexistent/program`");
    }

    #[test]
    fn programs_get_no_standard_input() {
        assert_eq!(Run::new("cat").read().expect("cat runs"), "");
    }

    #[test]
    fn what_is_heard_is_standard_output_then_standard_error() {
        let heard = Run::new("sh").args(["-c", "echo e >&2; echo o; kill -9 $$"]).hear();
        let heard = heard.expect("sh runs");
        assert_eq!(heard.text, "o\ne\n");
        assert_eq!(ended(heard.status), "was ended by signal 9");
    }

    #[test]
    fn what_is_copied_behind_a_prefix_is_shown_by_lines_and_kept_as_it_was() {
        let mut shown = Vec::new();
        let all = copy(&b"one\ntwo\nend"[..], &mut shown, "| ");
        assert_eq!(all, b"one\ntwo\nend");
        assert_eq!(shown, b"| one\n| two\n| end");
    }

    #[test]
    fn last_lines_are_the_last() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("", 2), "");
    }
}
