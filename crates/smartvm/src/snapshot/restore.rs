//! What a VM is restored from, and how.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use smartvm_firecracker::FirecrackerVersion;
use smartvm_firecracker::api::NetworkOverride;

use super::compatible::HostIdentity;
use super::manifest::{DriveContent, SavedDrive};
use super::name::SnapshotName;
use super::restored_config::restored_config;
use super::snapshot_error::SnapshotError;
use super::stored::{Snapshot, Verify};
use crate::config::VmConfig;
use crate::jail::JailConfig;
use crate::vm_id::VmId;

/// A VM to make from a snapshot.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RestoreVm {
    /// The snapshot's name in the store.
    pub snapshot: SnapshotName,
    /// The VM's id; absent, it gets a random one. Any number of VMs may be restored from a snapshot.
    pub id: Option<VmId>,
    /// Whether the guest goes on at once; else the VM is paused. Default: yes.
    pub resume: bool,
    /// How the guest gets its memory.
    pub backend: MemoryBackend,
    /// The TAP devices of the guest's network interfaces. Of a snapshot that was not made here each
    /// must be named; of others those that are not are the ones that it was saved with.
    pub network_overrides: Vec<NetworkOverride>,
    /// How the VM is kept apart from the host. The snapshot has no say in it, but that limits which
    /// the saved VM had hold as well, where they are stricter.
    pub jail: JailConfig,
    /// Which files of this host the drives are that the snapshot shares with others. Needed of one that
    /// was not made here, unless they are a base image's.
    pub drives: Vec<SharedDrive>,
    /// Another place for the socket of the guest's vsock, relative to the VM's directory. Not needed
    /// for clones: each has its own directory. Since Firecracker 1.16.
    pub vsock_override: Option<PathBuf>,
    /// Whether the guest's clock (kvm-clock) goes on from now instead of from when it was saved. Since
    /// Firecracker 1.14.4, x86_64.
    pub clock_realtime: bool,
    /// Whether writes are counted from here on, so that a differential snapshot can follow.
    pub track_dirty_pages: bool,
    /// How thoroughly the snapshot's files are compared with its manifest.
    pub verify: Verify,
    /// Whether to try it on a processor that the guest was not saved on.
    pub accept_other_cpu: bool,
}

/// The file of a drive that a snapshot does not hold itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedDrive {
    /// The drive's id in the VM.
    pub drive_id: String,
    /// The file, which must have the content that was saved.
    pub path: PathBuf,
}

/// How a restored guest gets its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemoryBackend {
    /// The kernel reads pages from the snapshot's file as the guest touches them, and shares them
    /// between the VMs of one snapshot until one of them writes.
    #[default]
    File,
    /// This process gives the guest each page as it touches it, through userfaultfd.
    Uffd,
}

impl RestoreVm {
    /// From the snapshot of that name; the guest goes on at once, its memory comes from the file.
    #[must_use]
    pub fn new(snapshot: SnapshotName) -> Self {
        Self {
            snapshot,
            id: None,
            resume: true,
            backend: MemoryBackend::File,
            network_overrides: Vec::new(),
            jail: JailConfig::default(),
            drives: Vec::new(),
            vsock_override: None,
            clock_realtime: false,
            track_dirty_pages: false,
            verify: Verify::Changed,
            accept_other_cpu: false,
        }
    }

    /// Decides which files the shared drives are: those that are named here, else, of a snapshot that
    /// was made here, those that it was saved with, else those below `images`, the base images.
    fn name_shared_drives(
        &self,
        snapshot: &mut Snapshot,
        images: &Path,
    ) -> Result<(), RestoreRefused> {
        let shared: Vec<_> = snapshot.manifest().drives.iter().filter_map(shared_file).collect();
        for SharedDrive { drive_id, .. } in &self.drives {
            if !shared.iter().any(|drive| drive.drive_id == *drive_id) {
                let (name, drive_id) = (snapshot.name().clone(), drive_id.clone());
                return Err(RestoreRefused::NoSuchDrive { name, drive_id });
            }
        }
        for SharedDrive { drive_id, path } in shared {
            let named = self.drives.iter().find(|named| named.drive_id == drive_id);
            if let Some(named) = named {
                snapshot.share(&drive_id, &named.path);
            } else if !snapshot.is_made_here() && !is_below(&path, images) {
                let name = snapshot.name().clone();
                return Err(RestoreRefused::UnnamedDrive { name, drive_id, path });
            }
        }
        Ok(())
    }

    /// Refuses what this Firecracker does not know, before it is asked.
    pub(crate) fn check_version(&self, running: &FirecrackerVersion) -> Result<(), TooOld> {
        let needs = |wanted: bool, what, since: FirecrackerVersion| match wanted && *running < since
        {
            true => Err(TooOld { what, since, running: running.clone() }),
            false => Ok(()),
        };
        let overrides = !self.network_overrides.is_empty();
        needs(overrides, "network_overrides", FirecrackerVersion::new(1, 12, 0))?;
        needs(self.vsock_override.is_some(), "vsock_override", FirecrackerVersion::new(1, 16, 0))?;
        needs(self.clock_realtime, "clock_realtime", FirecrackerVersion::new(1, 14, 4))?;
        // It came to both series as a correction.
        let without = self.clock_realtime && *running == FirecrackerVersion::new(1, 15, 0);
        needs(without, "clock_realtime", FirecrackerVersion::new(1, 15, 1))
    }
}

/// What must be said of this host before a snapshot can be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreRefused {
    /// A file of another host is not looked for on this one.
    #[error(
        "snapshot {name} was not made here, and drive {drive_id} is a file outside of it, {}",
        path.display()
    )]
    UnnamedDrive {
        /// The snapshot.
        name: SnapshotName,
        /// The drive.
        drive_id: String,
        /// Where the file was, where the snapshot was made.
        path: PathBuf,
    },
    /// The snapshot shares no such drive.
    #[error("snapshot {name} has no drive {drive_id} that is a file outside of it")]
    NoSuchDrive {
        /// The snapshot.
        name: SnapshotName,
        /// The drive.
        drive_id: String,
    },
}

impl RestoreRefused {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnnamedDrive { .. } => "SNAPSHOT_DRIVE_UNNAMED",
            Self::NoSuchDrive { .. } => "NO_SUCH_DEVICE",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnnamedDrive { drive_id, .. } => {
                Some(format!("say which file of this host it is: --drive {drive_id}=PATH"))
            }
            Self::NoSuchDrive { name, .. } => {
                Some(format!("see what it has: smartvm snapshot show {name}"))
            }
        }
    }
}

/// The drive, if the snapshot does not hold it itself.
fn shared_file(drive: &SavedDrive) -> Option<SharedDrive> {
    let DriveContent::Shared { path } = &drive.content else { return None };
    Some(SharedDrive { drive_id: drive.drive_id.clone(), path: path.clone() })
}

/// Whether a path is really below a directory, whatever links lead there.
fn is_below(path: &Path, dir: &Path) -> bool {
    match (fs_err::canonicalize(path), fs_err::canonicalize(dir)) {
        (Ok(path), Ok(dir)) => path.starts_with(dir),
        _ => false,
    }
}

/// Firecracker is too old for what was asked of a restore. Code `FIRECRACKER_TOO_OLD`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} needs Firecracker {since}, and this is {running}")]
pub struct TooOld {
    /// The part of the request.
    pub what: &'static str,
    /// The first version that knows it.
    pub since: FirecrackerVersion,
    /// The version that runs.
    pub running: FirecrackerVersion,
}

/// A restore that can be carried out here.
#[derive(Debug, Clone)]
pub(crate) struct RestorePlan {
    pub(crate) request: RestoreVm,
    pub(crate) snapshot: Snapshot,
}

impl RestorePlan {
    /// Looks whether the snapshot can be loaded on this host, by what it says and by what is said of it.
    pub(crate) fn new(
        request: RestoreVm,
        mut snapshot: Snapshot,
        host: &HostIdentity,
        images: &Path,
    ) -> Result<Self, SnapshotError> {
        for warning in snapshot.manifest().check_host(host, request.accept_other_cpu)? {
            tracing::warn!("{warning}");
        }
        request.name_shared_drives(&mut snapshot, images)?;
        Ok(Self { request, snapshot })
    }

    /// What the VM is made of; `jailed` says whether it will be in a jail.
    pub(crate) fn config(&self, jailed: bool) -> VmConfig {
        if !jailed && !self.snapshot.is_made_here() {
            tracing::warn!(
                snapshot = %self.snapshot.name(),
                "a snapshot that was not made here runs without a jail: it can use whatever you can"
            );
        }
        restored_config(&self.request, &self.snapshot, jailed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restore() -> RestoreVm {
        RestoreVm::new("one".parse().unwrap())
    }

    fn refused(request: &RestoreVm, version: &str) -> Option<String> {
        request.check_version(&version.parse().unwrap()).err().map(|error| error.to_string())
    }

    #[test]
    fn what_is_newer_than_firecracker_is_refused_by_name_and_version() {
        let clock = RestoreVm { clock_realtime: true, ..restore() };
        let said = refused(&clock, "1.12.1").unwrap();
        assert_eq!(said, "clock_realtime needs Firecracker 1.14.4, and this is 1.12.1");
        assert_eq!(refused(&clock, "1.14.4"), None);
        assert!(refused(&clock, "1.15.0").unwrap().contains("1.15.1"));
        assert_eq!(refused(&clock, "1.16.1"), None);
        let vsock = RestoreVm { vsock_override: Some("v".into()), ..restore() };
        assert!(refused(&vsock, "1.15.1").unwrap().contains("1.16.0"));
        assert_eq!(refused(&restore(), "1.7.0"), None);
        let tap =
            NetworkOverride { iface_id: "eth0".parse().unwrap(), host_dev_name: "tap1".into() };
        let tap = RestoreVm { network_overrides: vec![tap], ..restore() };
        assert!(refused(&tap, "1.11.0").unwrap().contains("1.12.0"));
    }
}
