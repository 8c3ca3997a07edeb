//! What belongs to the whole host.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::lock::{self, HeldLock};
use super::state_error::StateError;
use crate::InterfaceName;

/// The directory of all networks.
#[derive(Debug, Clone)]
pub(crate) struct HostState {
    path: PathBuf,
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
        let failed = |source| StateError::new(format!("use directory {}", path.display()), source);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let found = fs_err::symlink_metadata(path).map_err(failed)?;
        let ours = found.uid() == geteuid().as_raw() && found.mode() & 0o022 == 0;
        if !found.is_dir() || !ours {
            let message = "it is not a directory of our own that only we can write to";
            return Err(failed(io::Error::new(io::ErrorKind::PermissionDenied, message)));
        }
        Ok(Self { path: path.to_owned() })
    }

    /// The directory, if there is one and it is ours; nothing is made.
    pub(crate) fn existing(path: &Path) -> Option<Self> {
        let found = fs_err::symlink_metadata(path).ok()?;
        let ours = found.is_dir() && found.uid() == geteuid().as_raw();
        ours.then(|| Self { path: path.to_owned() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The networks that there is something of.
    pub(crate) fn networks(&self) -> Result<Vec<InterfaceName>, StateError> {
        let failed = |source| StateError::new("list networks", source);
        let mut networks = Vec::new();
        for entry in fs_err::read_dir(&self.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if let Some(name) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
                networks.push(name);
            }
        }
        networks.sort();
        Ok(networks)
    }

    /// Removes what a process left that was killed while it removed a network.
    pub(crate) fn sweep(&self) -> Result<(), StateError> {
        let failed = |source| StateError::new("remove what was left of a network", source);
        for entry in fs_err::read_dir(&self.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name().as_encoded_bytes().starts_with(b".removed-") {
                match fs_err::remove_dir_all(entry.path()) {
                    // Its own process goes on with it.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    done => done.map_err(failed)?,
                }
            }
        }
        self.sweep_ports()
    }

    pub(super) fn lock(&self) -> Result<LockedHost<'_>, StateError> {
        let lock = lock::exclusive(&self.path.join(".lock"));
        let lock = lock.map_err(|source| StateError::new("lock the host's networks", source))?;
        Ok(LockedHost { state: self, _lock: lock })
    }
}

/// Replaces a file; a reader sees the old or the new one, never half of it.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    fs_err::write(&unfinished, text)?;
    fs_err::rename(unfinished, path)
}

/// Removes a file; to be gone already is success.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
