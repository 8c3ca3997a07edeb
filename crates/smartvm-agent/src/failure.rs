//! What is told to the person at the console when the guest cannot go on.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use rustix::system::RebootCommand;

/// Something that could not be done, and why.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    reason: String,
}

impl Failure {
    /// `what` completes "cannot …".
    pub(crate) fn new(what: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self { what: what.into(), reason: reason.to_string() }
    }

    /// Adds modules that were not loaded, since one of them may be the reason.
    pub(crate) fn because_of(mut self, failed_modules: &[String]) -> Self {
        if !failed_modules.is_empty() {
            self.reason = format!("{} (not loaded: {})", self.reason, failed_modules.join(", "));
        }
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.what, self.reason)
    }
}

/// Writes one line to the console.
pub(crate) fn report(message: &str) {
    // A guest without a console has nobody to tell.
    let _ = writeln!(io::stderr(), "smartvm-agent: {message}");
}

/// Restarts the machine, which is how a guest ends Firecracker.
pub(crate) fn restart() -> ExitCode {
    // The console writes behind our back: without this the last line would be lost.
    let _ = rustix::termios::tcdrain(io::stderr());
    rustix::fs::sync();
    let _ = rustix::system::reboot(RebootCommand::Restart);
    // The kernel panics when its init ends, and `panic=1` restarts it as well.
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_as_one_sentence_with_the_modules_that_may_explain_it() {
        let failure = Failure::new("find the root device /dev/vda", "it did not appear");
        assert_eq!(failure.to_string(), "cannot find the root device /dev/vda: it did not appear");
        let failure = failure.because_of(&["virtio_blk".to_owned()]);
        assert!(failure.to_string().ends_with("it did not appear (not loaded: virtio_blk)"));
    }
}
