//! Whether something was left behind on the host.

mod below;
mod network;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(10);

/// What a test could leave behind, as it was at one moment.
///
/// ```
/// use std::time::Duration;
/// use smartvm_testkit::HostSnapshot;
///
/// let directory = tempfile::tempdir()?;
/// let before = HostSnapshot::take([directory.path()]);
/// // … the test …
/// before.assert_unchanged(Duration::from_secs(5));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct HostSnapshot {
    scope: Scope,
    things: BTreeSet<String>,
}

/// What to look at.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// Processes that mention one of these, and mounts on or below them.
    pub(crate) users_of: Vec<PathBuf>,
    /// Whatever is in one of these.
    pub(crate) files_in: Vec<PathBuf>,
    pub(crate) network: bool,
}

impl HostSnapshot {
    /// Records what is below `dirs` and the host's network.
    ///
    /// That is: processes whose command line mentions one of `dirs`, files, sockets and
    /// directories in them, mounts on or below them, network links, nftables tables and routing
    /// rules. Tables and rules are left out, with a line on standard error, where the host lacks
    /// `nft` or `ip` or does not let us ask.
    ///
    /// The network belongs to the whole host, so nothing else may change it meanwhile.
    pub fn take(dirs: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        Self::new(dirs, true)
    }

    /// Records what is below `dirs` only, so that tests can run side by side.
    pub fn take_below(dirs: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        Self::new(dirs, false)
    }

    fn new(dirs: impl IntoIterator<Item = impl AsRef<Path>>, network: bool) -> Self {
        let dirs: Vec<PathBuf> = dirs.into_iter().map(|dir| dir.as_ref().to_owned()).collect();
        Self::of(Scope { users_of: dirs.clone(), files_in: dirs, network })
    }

    pub(crate) fn of(scope: Scope) -> Self {
        let things = scope.look();
        Self { scope, things }
    }

    /// What has appeared since, then what has gone.
    ///
    /// Each is one line, such as `process 4711: firecracker --api-sock …`.
    #[must_use]
    pub fn changes(&self) -> (Vec<String>, Vec<String>) {
        let now = self.scope.look();
        let (appeared, gone) = (now.difference(&self.things), self.things.difference(&now));
        (appeared.cloned().collect(), gone.cloned().collect())
    }

    /// Waits until all is as it was.
    ///
    /// # Panics
    /// When that is not so `within` that time; the message lists what differs.
    #[track_caller]
    pub fn assert_unchanged(&self, within: Duration) {
        if let Err(difference) = self.wait_until_unchanged(within) {
            panic!("{difference}");
        }
    }

    /// As [`HostSnapshot::assert_unchanged`], with the message instead of a panic.
    pub(crate) fn wait_until_unchanged(&self, within: Duration) -> Result<(), String> {
        let deadline = Instant::now() + within;
        loop {
            let (appeared, gone) = self.changes();
            if appeared.is_empty() && gone.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(format!(
                    "the host is not as it was, even after {within:?}\n\
                     left behind: {appeared:#?}\ngone: {gone:#?}"
                ));
            }
            thread::sleep(INTERVAL);
        }
    }
}

impl Scope {
    fn look(&self) -> BTreeSet<String> {
        let mut things = BTreeSet::new();
        for dir in &self.users_of {
            below::processes(dir, &mut things);
            below::mounts(dir, &mut things);
        }
        for dir in &self.files_in {
            below::files(dir, &mut things);
        }
        if self.network {
            network::collect(&mut things);
        }
        things
    }
}

#[cfg(test)]
mod tests;
