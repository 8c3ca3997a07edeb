//! `smartvm completions`: what the shell completes.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Args;
use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::printer::Printer;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  smartvm completions bash > /etc/bash_completion.d/smartvm
  smartvm completions zsh > \"${fpath[1]}/_smartvm\"
  smartvm completions fish > ~/.config/fish/completions/smartvm.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(crate) fn perform(args: &CompletionsArgs, printer: Printer) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "smartvm", &mut script);
    printer.data(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Ok)
}
