//! The files of one network.

use std::io;
use std::path::{Path, PathBuf};

use super::guest_record::GuestRecord;
use super::host_state::{self, HostState};
use super::lock::{self, HeldLock};
use super::network_record::NetworkRecord;
use super::state_error::StateError;
use crate::InterfaceName;

/// The directory of one network.
#[derive(Debug, Clone)]
pub(crate) struct NetworkState {
    network: InterfaceName,
    path: PathBuf,
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
        Self { network: network.clone(), path: host.path().join(network.as_str()) }
    }

    pub(crate) fn network(&self) -> &InterfaceName {
        &self.network
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the lock; the directory is made when it is missing.
    pub(crate) fn lock(&self) -> Result<Locked<'_>, StateError> {
        let lock = loop {
            match lock::exclusive(&self.path.join("lock")) {
                // Whoever took the network down removes the directory as well.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    fs_err::create_dir_all(&self.path)
                        .map_err(|source| self.failed("make the directory of", source))?;
                }
                lock => break lock.map_err(|source| self.failed("lock", source))?,
            }
        };
        // With the lock: who comes while somebody else makes them must not find one of the two. The last
        // one tells that all are there.
        if !self.path.join("leases").is_dir() {
            for part in ["guests", "leases"] {
                fs_err::create_dir_all(self.path.join(part))
                    .map_err(|source| self.failed("make a directory of", source))?;
            }
        }
        Ok(Locked { state: self, lock })
    }

    /// All interfaces that are written down. One that is half written does not exist.
    pub(crate) fn guests(&self) -> Result<Vec<GuestRecord>, StateError> {
        let failed = |source| self.failed("list the guests of", source);
        let mut guests = Vec::new();
        let entries = match fs_err::read_dir(self.path.join("guests")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(guests),
            entries => entries.map_err(failed)?,
        };
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|it| it == "json")
                && let Some(guest) = read(&path).map_err(failed)?
            {
                guests.push(guest);
            }
        }
        guests.sort_by(|a: &GuestRecord, b| a.tap.cmp(&b.tap));
        Ok(guests)
    }

    /// The interface behind a TAP.
    pub(crate) fn guest(&self, tap: &InterfaceName) -> Result<Option<GuestRecord>, StateError> {
        read(&self.guest_path(tap)).map_err(|source| self.failed("read a guest of", source))
    }

    /// What is written down of the network.
    pub(crate) fn record(&self) -> Result<Option<NetworkRecord>, StateError> {
        read(&self.path.join("network.json")).map_err(|source| self.failed("read about", source))
    }

    pub(super) fn guest_path(&self, tap: &InterfaceName) -> PathBuf {
        self.path.join("guests").join(format!("{tap}.json"))
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
        let users = lock::shared(&self.state.path.join("users"));
        users.map_err(|source| self.state.failed("use", source))
    }

    /// Whether no process uses the network.
    pub(crate) fn is_unused(&self) -> Result<bool, StateError> {
        let free = lock::is_free(&self.state.path.join("users"));
        free.map_err(|source| self.state.failed("see who uses", source))
    }

    pub(crate) fn write_record(&self, record: &NetworkRecord) -> Result<(), StateError> {
        let path = self.state.path.join("network.json");
        let written = serde_json::to_string(record)
            .map_err(io::Error::from)
            .and_then(|text| host_state::write(&path, &text));
        written.map_err(|source| self.state.failed("write about", source))
    }

    pub(crate) fn write_guest(&self, guest: &GuestRecord) -> Result<(), StateError> {
        let path = self.state.guest_path(&guest.tap);
        let written = serde_json::to_string(guest)
            .map_err(io::Error::from)
            .and_then(|text| host_state::write(&path, &text));
        written.map_err(|source| self.state.failed("write a guest of", source))
    }

    pub(crate) fn remove_guest(&self, tap: &InterfaceName) -> Result<(), StateError> {
        host_state::remove(&self.state.guest_path(tap))
            .map_err(|source| self.state.failed("forget a guest of", source))
    }

    /// Removes the network's directory, this lock included: whoever waits for it makes another.
    pub(crate) fn remove(self) -> Result<(), StateError> {
        // At once: who waits for the lock makes a new directory, which must not be emptied.
        let name = format!(".removed-{}-{}", self.state.network, std::process::id());
        let removed = self.state.path.with_file_name(name);
        let removed = fs_err::rename(&self.state.path, &removed)
            .and_then(|()| fs_err::remove_dir_all(removed));
        removed.map_err(|source| self.state.failed("forget", source))
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs_err::read(path) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
