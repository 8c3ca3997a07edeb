//! The built command in a clean environment.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What the command said and how it ended.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The command with its data below `dir` and nothing from the caller's environment.
pub(crate) fn smartvm(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smartvm"));
    command
        .env_clear()
        .env("SMARTVM_DATA_DIR", dir.join("data"))
        .env("SMARTVM_RUNTIME_DIR", dir.join("run"))
        .env("PATH", dir.join("bin"))
        .env("HOME", dir)
        .stdin(Stdio::null());
    command
}

/// Runs it with these arguments.
pub(crate) fn run(dir: &Path, args: &[&str]) -> Said {
    said(smartvm(dir).args(args).output().expect("the command was built"))
}

/// Makes the output of a command readable.
pub(crate) fn said(output: Output) -> Said {
    Said {
        code: output.status.code().expect("the command was not killed"),
        stdout: String::from_utf8(output.stdout).expect("stdout is text"),
        stderr: String::from_utf8(output.stderr).expect("stderr is text"),
    }
}
