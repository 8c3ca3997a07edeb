//! The files of one network.

use std::io;
use std::path::{Path, PathBuf};

use smartvm_dir::{HeldLock, LockState, PrivateDir};

use super::guest_record::GuestRecord;
use super::host_state::HostState;
use super::network_record::NetworkRecord;
use super::state_error::StateError;
use crate::InterfaceName;

/// The directory of one network.
#[derive(Debug, Clone)]
pub(crate) struct NetworkState {
    network: InterfaceName,
    /// The directory of all networks: this one's goes and comes back in it.
    dir: PrivateDir,
}

/// The same, with nobody else changing it for as long as this lives.
#[derive(Debug)]
pub(crate) struct Locked<'a> {
    pub(super) state: &'a NetworkState,
    pub(super) lock: HeldLock,
}

/// A part in the use of a network, which keeps it from being taken down.
pub(crate) type InUse = HeldLock;

impl NetworkState {
    pub(crate) fn new(host: &HostState, network: &InterfaceName) -> Self {
        Self { network: network.clone(), dir: host.dir().clone() }
    }

    pub(crate) fn network(&self) -> &InterfaceName {
        &self.network
    }

    pub(super) fn dir(&self) -> &PrivateDir {
        &self.dir
    }

    /// The name of a file or directory of the network in that directory.
    pub(super) fn part(&self, name: &str) -> PathBuf {
        Path::new(self.network.as_str()).join(name)
    }

    /// Waits for the lock; the directory is made when it is missing.
    pub(crate) fn lock(&self) -> Result<Locked<'_>, StateError> {
        let lock = loop {
            match self.dir.lock(self.part("lock")) {
                // Whoever took the network down removes the directory as well.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.dir
                        .ensure_dir(self.network.as_str())
                        .map_err(|source| self.failed("make the directory of", source))?;
                }
                lock => break lock.map_err(|source| self.failed("lock", source))?,
            }
        };
        // With the lock: who comes while somebody else makes them must not find one of the two. The last
        // one tells that all are there.
        let failed = |source| self.failed("make a directory of", source);
        if !self.dir.has_dir(self.part("leases")).map_err(failed)? {
            for part in ["guests", "leases"] {
                self.dir.ensure_dir(self.part(part)).map_err(failed)?;
            }
        }
        Ok(Locked { state: self, lock })
    }

    /// All interfaces that are written down. One that is half written does not exist.
    pub(crate) fn guests(&self) -> Result<Vec<GuestRecord>, StateError> {
        let failed = |source| self.failed("list the guests of", source);
        let mut guests = Vec::new();
        let Some(dir) = self.dir.dir(self.part("guests")).map_err(failed)? else {
            return Ok(guests);
        };
        for entry in dir.entries().map_err(failed)? {
            let name = Path::new(entry.name());
            if name.extension().is_some_and(|it| it == "json")
                && let Some(guest) = read(&dir, name).map_err(failed)?
            {
                guests.push(guest);
            }
        }
        guests.sort_by(|a: &GuestRecord, b| a.tap.cmp(&b.tap));
        Ok(guests)
    }

    /// The interface behind a TAP.
    pub(crate) fn guest(&self, tap: &InterfaceName) -> Result<Option<GuestRecord>, StateError> {
        read(&self.dir, &self.guest_path(tap))
            .map_err(|source| self.failed("read a guest of", source))
    }

    /// What is written down of the network.
    pub(crate) fn record(&self) -> Result<Option<NetworkRecord>, StateError> {
        read(&self.dir, &self.part("network.json"))
            .map_err(|source| self.failed("read about", source))
    }

    pub(super) fn guest_path(&self, tap: &InterfaceName) -> PathBuf {
        self.part("guests").join(format!("{tap}.json"))
    }

    pub(super) fn failed(&self, doing: &str, source: io::Error) -> StateError {
        StateError::new(format!("{doing} network {}", self.network), source)
    }
}

impl Locked<'_> {
    pub(crate) fn state(&self) -> &NetworkState {
        self.state
    }

    /// Takes a part in the use of the network.
    pub(crate) fn enter(&self) -> Result<InUse, StateError> {
        let users = self.state.dir.lock_shared(self.state.part("users"));
        users.map_err(|source| self.state.failed("use", source))
    }

    /// Whether no process uses the network.
    pub(crate) fn is_unused(&self) -> Result<bool, StateError> {
        let users = self.state.dir.try_lock(self.state.part("users"));
        let users = users.map_err(|source| self.state.failed("see who uses", source))?;
        Ok(!matches!(users, LockState::Held))
    }

    pub(crate) fn write_record(&self, record: &NetworkRecord) -> Result<(), StateError> {
        let path = self.state.part("network.json");
        let written = serde_json::to_vec(record)
            .map_err(io::Error::from)
            .and_then(|text| self.state.dir.write(&path, &text));
        written.map_err(|source| self.state.failed("write about", source))
    }

    pub(crate) fn write_guest(&self, guest: &GuestRecord) -> Result<(), StateError> {
        let path = self.state.guest_path(&guest.tap);
        let written = serde_json::to_vec(guest)
            .map_err(io::Error::from)
            .and_then(|text| self.state.dir.write(&path, &text));
        written.map_err(|source| self.state.failed("write a guest of", source))
    }

    pub(crate) fn remove_guest(&self, tap: &InterfaceName) -> Result<(), StateError> {
        self.state
            .dir
            .remove_file(self.state.guest_path(tap))
            .map_err(|source| self.state.failed("forget a guest of", source))
    }

    /// Removes the network's directory, this lock included: whoever waits for it makes another.
    pub(crate) fn remove(self) -> Result<(), StateError> {
        // At once: who waits for the lock makes a new directory, which must not be emptied.
        let name = format!(".removed-{}-{}", self.state.network, std::process::id());
        let dir = &self.state.dir;
        let removed = dir.rename(self.state.network.as_str(), &name);
        let removed = removed.and_then(|()| dir.remove_dir_all(&name));
        removed.map_err(|source| self.state.failed("forget", source))
    }
}

fn read<T: serde::de::DeserializeOwned>(dir: &PrivateDir, name: &Path) -> io::Result<Option<T>> {
    match dir.read(name)? {
        Some(text) => Ok(Some(serde_json::from_slice(&text)?)),
        None => Ok(None),
    }
}
