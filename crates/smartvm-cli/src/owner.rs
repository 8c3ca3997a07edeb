//! What the process that owns a VM said when it was asked.

use smartvm::control::ControlError;

use crate::failure::Failure;

/// The failure of a request to a VM's owner, in the owner's own words where it gave some.
pub(crate) fn failure(error: ControlError) -> Failure {
    match error {
        ControlError::Refused { code, message, causes, hint } => {
            Failure::told(code, message, causes, hint)
        }
        error => {
            let failure =
                Failure::told(error.code().to_owned(), error.to_string(), Vec::new(), error.hint());
            match std::error::Error::source(&error) {
                Some(source) => failure.caused_by(source),
                None => failure,
            }
        }
    }
}
