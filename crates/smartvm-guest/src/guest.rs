//! The guest of one VM.

use std::ffi::OsStr;
use std::sync::Arc;

use crate::command::Command;
use crate::dial::Dial;

/// A guest with an agent. A cheap handle: clones mean the same guest; nothing is connected until something is asked.
#[derive(Debug, Clone)]
pub struct Guest {
    dial: Arc<dyn Dial>,
}

impl Guest {
    /// The guest that `dial` reaches.
    pub fn new(dial: impl Dial + 'static) -> Self {
        Self { dial: Arc::new(dial) }
    }

    /// A program to be run in the guest, as root and in `/` unless something else is said. One without `/` is looked for in
    /// the guest's directories of programs.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        Command::new(self.clone(), program.as_ref())
    }

    pub(crate) fn dial(&self) -> &dyn Dial {
        &*self.dial
    }
}
