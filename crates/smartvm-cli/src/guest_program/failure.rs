//! Why a program in a guest did not run, as docker's exit codes say it.

use smartvm_guest::GuestError;

use crate::exit_code::Exit;
use crate::failure::Failure;

/// The failure of something that was asked of a guest.
pub(crate) fn of_guest(error: &GuestError) -> Failure {
    let (code, hint) = (error.code().to_owned(), error.hint());
    let failure = Failure::told(code, error.to_string(), Vec::new(), hint);
    match std::error::Error::source(error) {
        Some(source) => failure.caused_by(source),
        None => failure,
    }
}

/// The failure of a program that was never started: 127 and 126 as of a shell, else 125.
pub(crate) fn of_unstarted(error: &GuestError) -> Failure {
    let exit = error.shell_code().map_or(Exit::NotRun, Exit::Program);
    of_guest(error).with_exit(exit)
}
