//! Being told of each step.

use std::fmt;
use std::io;
use std::sync::Arc;

/// Is called before each change to the host, with a name of it such as `make tap`. An error makes
/// the step fail instead of being done, which is how the tests see that every failure is undone.
#[derive(Clone, Default)]
pub struct StepHook(Option<Arc<Hook>>);

type Hook = dyn Fn(&'static str) -> io::Result<()> + Send + Sync;

impl StepHook {
    /// Calls `hook` at each step.
    #[must_use]
    pub fn new(hook: impl Fn(&'static str) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    pub(super) fn reach(&self, step: &'static str) -> io::Result<()> {
        tracing::trace!(step, "network");
        match &self.0 {
            None => Ok(()),
            Some(hook) => hook(step),
        }
    }
}

impl fmt::Debug for StepHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StepHook").field(&self.0.is_some()).finish()
    }
}
