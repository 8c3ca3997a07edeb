//! The files of one network.

use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use smartvm_dir::{HeldLock, LockState, PrivateDir};

use super::guest_record::GuestRecord;
use super::host_state::HostState;
use super::network_record::NetworkRecord;
use super::state_error::StateError;
use crate::InterfaceName;

/// The file that says what a network is.
const RECORD: &str = "network.json";

/// What there is of a record.
enum Found<T> {
    Nothing,
    /// It is not what was written, and why.
    Damaged(io::Error),
    Record(T),
}

/// The directory of one network.
#[derive(Debug, Clone)]
pub(crate) struct NetworkState {
    network: InterfaceName,
    /// All networks: this one's directory goes and comes back in theirs.
    host: HostState,
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
        Self { network: network.clone(), host: host.clone() }
    }

    pub(crate) fn network(&self) -> &InterfaceName {
        &self.network
    }

    pub(super) fn dir(&self) -> &PrivateDir {
        self.host.dir()
    }

    /// The name of a file or directory of the network in that directory.
    pub(super) fn part(&self, name: &str) -> PathBuf {
        Path::new(self.network.as_str()).join(name)
    }

    /// Waits for the lock; the directory is made when it is missing.
    pub(crate) fn lock(&self) -> Result<Locked<'_>, StateError> {
        let lock = loop {
            match self.dir().lock(self.part("lock")) {
                // Whoever took the network down removes the directory as well.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.dir()
                        .ensure_dir(self.network.as_str())
                        .map_err(|source| self.failed("make the directory of", source))?;
                }
                lock => break lock.map_err(|source| self.failed("lock", source))?,
            }
        };
        // With the lock: who comes while somebody else makes them must not find one of the two. The last
        // one tells that all are there.
        let failed = |source| self.failed("make a directory of", source);
        if !self.dir().has_dir(self.part("leases")).map_err(failed)? {
            for part in ["guests", "leases"] {
                self.dir().ensure_dir(self.part(part)).map_err(failed)?;
            }
        }
        Ok(Locked { state: self, lock })
    }

    /// Waits for the lock of a network that there is something of, and makes nothing, as nothing can be made where there
    /// is no room for files; none when there is nothing.
    pub(crate) fn lock_existing(&self) -> Result<Option<Locked<'_>>, StateError> {
        let failed = |source| self.failed("lock", source);
        let lock = self.part("lock");
        if self.dir().stat(&lock).map_err(failed)?.is_none() {
            // Somebody makes it just now, or there was no room for it.
            return match self.dir().remove_empty_dir(self.network.as_str()) {
                Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
                    Err(self.failed("remove the directory of", error))
                }
                _ => Ok(None),
            };
        }
        match self.dir().lock(lock) {
            Ok(lock) => Ok(Some(Locked { state: self, lock })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// All interfaces that are written down. One that is half written does not exist, and one whose record cannot be
    /// read is left out: it is not in the rules then, and reaches nothing.
    pub(crate) fn guests(&self) -> Result<Vec<GuestRecord>, StateError> {
        let mut guests = Vec::new();
        for name in self.guest_files()? {
            if let Found::Record(guest) = self.find::<GuestRecord>(&name)? {
                guests.push(guest);
            }
        }
        guests.sort_by(|a, b| a.tap.cmp(&b.tap));
        Ok(guests)
    }

    /// The records that cannot be read, by their names in the directory of all networks.
    pub(crate) fn damaged(&self) -> Result<Vec<PathBuf>, StateError> {
        let mut damaged = Vec::new();
        for name in self.guest_files()? {
            if let Found::Damaged(_) = self.find::<GuestRecord>(&name)? {
                damaged.push(name);
            }
        }
        let network = self.part(RECORD);
        if let Found::Damaged(_) = self.find::<NetworkRecord>(&network)? {
            damaged.push(network);
        }
        Ok(damaged)
    }

    fn guest_files(&self) -> Result<Vec<PathBuf>, StateError> {
        let failed = |source| self.failed("list the guests of", source);
        let Some(dir) = self.dir().dir(self.part("guests")).map_err(failed)? else {
            return Ok(Vec::new());
        };
        let entries = dir.entries().map_err(failed)?.into_iter();
        let names =
            entries.filter(|it| Path::new(it.name()).extension().is_some_and(|it| it == "json"));
        Ok(names.map(|it| self.part("guests").join(it.name())).collect())
    }

    /// The interface behind a TAP.
    pub(crate) fn guest(&self, tap: &InterfaceName) -> Result<Option<GuestRecord>, StateError> {
        self.read(&self.guest_path(tap))
    }

    /// What is written down of the network.
    pub(crate) fn record(&self) -> Result<Option<NetworkRecord>, StateError> {
        self.read(&self.part(RECORD))
    }

    /// The same; none when it is damaged.
    pub(crate) fn whole_record(&self) -> Result<Option<NetworkRecord>, StateError> {
        match self.find(&self.part(RECORD))? {
            Found::Record(record) => Ok(Some(record)),
            Found::Nothing | Found::Damaged(_) => Ok(None),
        }
    }

    fn read<T: DeserializeOwned>(&self, name: &Path) -> Result<Option<T>, StateError> {
        match self.find(name)? {
            Found::Nothing => Ok(None),
            Found::Record(record) => Ok(Some(record)),
            Found::Damaged(source) => Err(self.unreadable(name, source)),
        }
    }

    /// Tells what is damaged apart from what the system refuses.
    fn find<T: DeserializeOwned>(&self, name: &Path) -> Result<Found<T>, StateError> {
        match self.dir().read(name) {
            Ok(None) => Ok(Found::Nothing),
            Ok(Some(text)) => Ok(match serde_json::from_slice(&text) {
                Ok(record) => Found::Record(record),
                Err(error) => Found::Damaged(error.into()),
            }),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Found::Damaged(error)),
            Err(error) => Err(self.unreadable(name, error)),
        }
    }

    fn unreadable(&self, name: &Path, source: io::Error) -> StateError {
        StateError::new(format!("read {}", self.dir().path().join(name).display()), source)
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
        let users = self.state.dir().lock_shared(self.state.part("users"));
        users.map_err(|source| self.state.failed("use", source))
    }

    /// Whether no process uses the network.
    pub(crate) fn is_unused(&self) -> Result<bool, StateError> {
        let users = self.state.dir().try_lock(self.state.part("users"));
        let users = users.map_err(|source| self.state.failed("see who uses", source))?;
        Ok(!matches!(users, LockState::Held))
    }

    pub(crate) fn write_record(&self, record: &NetworkRecord) -> Result<(), StateError> {
        let path = self.state.part(RECORD);
        let written = serde_json::to_vec(record)
            .map_err(io::Error::from)
            .and_then(|text| self.state.dir().write(&path, &text));
        written.map_err(|source| self.state.failed("write about", source))
    }

    pub(crate) fn write_guest(&self, guest: &GuestRecord) -> Result<(), StateError> {
        let path = self.state.guest_path(&guest.tap);
        let written = serde_json::to_vec(guest)
            .map_err(io::Error::from)
            .and_then(|text| self.state.dir().write(&path, &text));
        written.map_err(|source| self.state.failed("write a guest of", source))
    }

    /// Moves records that cannot be read out of the way, and tells of each. A guest without its record is not in the
    /// rules. Returns whether there were any.
    pub(crate) fn set_aside_damaged(&self) -> Result<bool, StateError> {
        let damaged = self.state.damaged()?;
        for name in &damaged {
            let failed = |source| self.state.failed("set aside a damaged record of", source);
            self.state.host.set_aside(name).map_err(failed)?;
        }
        Ok(!damaged.is_empty())
    }

    pub(crate) fn remove_guest(&self, tap: &InterfaceName) -> Result<(), StateError> {
        self.state
            .dir()
            .remove_file(self.state.guest_path(tap))
            .map_err(|source| self.state.failed("forget a guest of", source))
    }

    /// Removes the network's directory, this lock included: whoever waits for it makes another.
    pub(crate) fn remove(self) -> Result<(), StateError> {
        // At once: who waits for the lock makes a new directory, which must not be emptied.
        let name = format!(".removed-{}-{}", self.state.network, std::process::id());
        let dir = self.state.dir();
        let removed = dir.rename(self.state.network.as_str(), &name);
        let removed = removed.and_then(|()| dir.remove_dir_all(&name));
        removed.map_err(|source| self.state.failed("forget", source))
    }
}
