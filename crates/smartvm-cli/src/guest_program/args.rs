//! The flags that say how a program runs in a guest.

use std::ffi::OsString;
use std::path::PathBuf;

use smartvm_guest::{Command, Guest, Stdio};

use super::env_file;
use super::session::terminal_size;
use crate::failure::Failure;
use crate::settings;

/// Whose the program is, and where it begins.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Program")]
pub(crate) struct ProgramArgs {
    /// Set a variable of the program's environment; without a value it is the one that smartvm has. May be repeated
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Read variables from a file, NAME=VALUE a line; may be repeated
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// The directory of the guest that the program begins in [default: /]
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<OsString>,
    /// Whose the program is: names of the guest, or numbers [default: root]
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<OsString>,
}

/// What the program's streams are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Program")]
pub(crate) struct StreamArgs {
    /// Give the program this input; without it, its input is empty
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Give the program a terminal; with -i, this one's keys
    #[arg(short, long)]
    pub(crate) tty: bool,
}

impl ProgramArgs {
    /// The program with its arguments, as the flags say.
    ///
    /// # Errors
    /// When a variable makes no sense, or a file cannot be read.
    pub(crate) fn describe(
        &self,
        guest: &Guest,
        argv: &[OsString],
        streams: StreamArgs,
    ) -> Result<Command, Failure> {
        let (program, arguments) = argv
            .split_first()
            .ok_or_else(|| Failure::new("USAGE", "there is no program to run"))?;
        let mut command = guest.command(program).args(arguments);
        for path in &self.env_file {
            for (name, value) in env_file::read(path, settings::variable)? {
                command = command.env(name, value);
            }
        }
        for text in &self.env {
            let variable = env_file::variable(text, settings::variable).map_err(|error| {
                Failure::new("USAGE", format!("--env {text}")).caused_by(&error)
            })?;
            if let Some((name, value)) = variable {
                command = command.env(name, value);
            }
        }
        if let Some(dir) = &self.workdir {
            command = command.current_dir(dir);
        }
        if let Some(user) = &self.user {
            command = command.user(user);
        }
        if streams.interactive {
            command = command.stdin(Stdio::Piped);
        }
        if streams.tty {
            command = command.terminal(terminal_size());
        }
        Ok(command)
    }
}
