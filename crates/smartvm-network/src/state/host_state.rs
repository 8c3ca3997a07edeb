//! What belongs to the whole host.

use std::io;
use std::path::{Path, PathBuf};

use smartvm_dir::{HeldLock, PrivateDir, UnsafeDirectory};

use super::network_state::NetworkState;
use super::state_error::StateError;
use crate::InterfaceName;

/// The directory of records that could not be read.
const DAMAGED: &str = ".damaged";

/// The directory of all networks.
#[derive(Debug, Clone)]
pub(crate) struct HostState {
    dir: PrivateDir,
}

/// The same, with nobody else changing it.
#[derive(Debug)]
pub(super) struct LockedHost<'a> {
    pub(super) state: &'a HostState,
    _lock: HeldLock,
}

impl HostState {
    /// Makes the directory if it is missing. It must be ours, and closed to others.
    pub(crate) fn open(path: &Path) -> Result<Self, StateError> {
        let dir = PrivateDir::ensure(path).map_err(|source| unusable(path, source))?;
        Ok(Self { dir })
    }

    /// The directory, if there is one; nothing is made.
    pub(crate) fn existing(path: &Path) -> Result<Option<Self>, StateError> {
        match PrivateDir::existing(path) {
            Ok(dir) => Ok(dir.map(|dir| Self { dir })),
            // Somebody else's networks are none of ours.
            Err(source) if source.is_denied() => Ok(None),
            Err(source) => Err(unusable(path, source)),
        }
    }

    pub(crate) fn dir(&self) -> &PrivateDir {
        &self.dir
    }

    /// The networks that there is something of.
    pub(crate) fn networks(&self) -> Result<Vec<InterfaceName>, StateError> {
        let failed = |source| StateError::new("list networks", source);
        let entries = self.dir.entries().map_err(failed)?.into_iter();
        let names = entries.filter_map(|entry| entry.name().to_str()?.parse().ok());
        let mut networks: Vec<InterfaceName> = names.collect();
        networks.sort();
        Ok(networks)
    }

    /// The records of networks and guests that cannot be read: those that are where they were, and those set aside.
    pub(crate) fn damaged(&self) -> Result<Vec<PathBuf>, StateError> {
        let failed = |source| StateError::new("look for damaged records", source);
        let mut damaged = Vec::new();
        for network in self.networks()? {
            damaged.extend(NetworkState::new(self, &network).damaged()?);
        }
        if let Some(aside) = self.dir.dir(DAMAGED).map_err(failed)? {
            let names = aside.entries().map_err(failed)?.into_iter();
            damaged.extend(names.map(|entry| Path::new(DAMAGED).join(entry.name())));
        }
        Ok(damaged.into_iter().map(|name| self.dir.path().join(name)).collect())
    }

    /// Moves a record that cannot be read out of the way, and tells of it.
    pub(super) fn set_aside(&self, name: &Path) -> io::Result<()> {
        let plain = name.to_string_lossy().replace('/', "-");
        let aside = Path::new(DAMAGED).join(plain.trim_start_matches('.'));
        self.dir.ensure_dir(DAMAGED)?;
        self.dir.rename(name, &aside)?;
        let (record, kept) = (self.dir.path().join(name), self.dir.path().join(aside));
        tracing::warn!(
            record = %record.display(), kept = %kept.display(),
            "a damaged record of networks is set aside; what it was about is closed"
        );
        Ok(())
    }

    /// Removes what a process left that was killed while it removed a network.
    pub(crate) fn sweep(&self) -> Result<(), StateError> {
        let failed = |source| StateError::new("remove what was left of a network", source);
        for entry in self.dir.entries().map_err(failed)? {
            if entry.name().as_encoded_bytes().starts_with(b".removed-") {
                // Its own process goes on with it.
                self.dir.remove_dir_all(entry.name()).map_err(failed)?;
            }
        }
        self.sweep_ports()
    }

    pub(super) fn lock(&self) -> Result<LockedHost<'_>, StateError> {
        let lock = self.dir.lock(".lock");
        let lock = lock.map_err(|source| StateError::new("lock the host's networks", source))?;
        Ok(LockedHost { state: self, _lock: lock })
    }
}

fn unusable(path: &Path, source: UnsafeDirectory) -> StateError {
    let kind =
        if source.is_denied() { io::ErrorKind::PermissionDenied } else { io::ErrorKind::Other };
    let doing = format!("use directory {}", path.display());
    StateError::new(doing, io::Error::new(kind, source))
}
