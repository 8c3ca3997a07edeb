//! How many files this process and its children may have open.

use std::io;
use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit before it was raised.
static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// Lets this process have as many files open as the system allows it at most: the soft limit becomes the
/// hard one. A jailed VM with a network device takes some 15, and the usual soft limit is 1024. Firecrackers
/// that are started get the limit as it was. For the whole process; a second call changes nothing.
///
/// # Errors
/// When the system refuses it.
pub fn raise_open_files() -> io::Result<()> {
    let before = getrlimit(Resource::Nofile);
    if before.current == before.maximum {
        return Ok(());
    }
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    // First, so that no child is started with the other one in between.
    let _ = BEFORE.set(before);
    Ok(setrlimit(Resource::Nofile, raised)?)
}

/// What children are to be limited to, if it is not what this process is.
pub(super) fn limit_of_children() -> Option<Rlimit> {
    BEFORE.get().copied()
}
