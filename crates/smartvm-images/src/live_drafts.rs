//! The drafts that this process is filling, so that it can end without leaving them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

static LIVE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// How often a directory is emptied that somebody still puts something into.
const TRIES: u32 = 16;

/// A draft that is known until this goes.
#[derive(Debug)]
pub(crate) struct LiveDraft(PathBuf);

/// Nothing appears, and nothing is abandoned, while it lives.
#[derive(Debug)]
pub(crate) struct Publishing(
    #[expect(dead_code, reason = "held, not read")] MutexGuard<'static, BTreeSet<PathBuf>>,
);

impl LiveDraft {
    pub(crate) fn of(path: &Path) -> Self {
        live().insert(path.to_owned());
        Self(path.to_owned())
    }
}

impl Drop for LiveDraft {
    fn drop(&mut self) {
        live().remove(&self.0);
    }
}

/// Waits until nobody else publishes or abandons.
pub(crate) fn publishing() -> Publishing {
    Publishing(live())
}

/// Removes every draft that this process is filling. From then on nothing it makes gets its name: whoever is about
/// to publish, or to begin something, waits for ever. For a process that is about to exit, as by a signal. Programs of
/// the host that it runs end with it.
pub fn abandon_drafts() {
    let drafts = live();
    for draft in &*drafts {
        for _ in 0..TRIES {
            match fs_err::remove_dir_all(draft) {
                Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {}
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(%error, "left a draft behind; the next command removes it");
                    break;
                }
                _ => break,
            }
        }
    }
    // For ever.
    std::mem::forget(drafts);
}

fn live() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    // A set of paths is whole after any panic.
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}
