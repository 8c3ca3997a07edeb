//! What a VM is restored from, and how.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use smartvm_firecracker::FirecrackerVersion;
use smartvm_firecracker::api::NetworkOverride;

use super::compatible::{HostIdentity, IncompatibleSnapshot};
use super::name::SnapshotName;
use super::snapshot::{Snapshot, Verify};
use crate::config::VmConfig;
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
    /// Other TAP devices for the guest's network interfaces.
    pub network_overrides: Vec<NetworkOverride>,
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
            vsock_override: None,
            clock_realtime: false,
            track_dirty_pages: false,
            verify: Verify::Changed,
            accept_other_cpu: false,
        }
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
    /// Looks whether the snapshot can be loaded on this host.
    pub(crate) fn new(
        request: RestoreVm,
        snapshot: Snapshot,
        host: &HostIdentity,
    ) -> Result<Self, IncompatibleSnapshot> {
        for warning in snapshot.manifest().check_host(host, request.accept_other_cpu)? {
            tracing::warn!("{warning}");
        }
        Ok(Self { request, snapshot })
    }

    /// What the VM is made of: the configuration of the saved one, with its own id and TAP devices,
    /// and without the files of the host that only one VM can have.
    pub(crate) fn config(&self) -> VmConfig {
        let request = &self.request;
        let mut config = self.snapshot.manifest().config.clone();
        config.id = request.id.as_ref().map(ToString::to_string);
        config.machine_config.track_dirty_pages = Some(request.track_dirty_pages);
        // They are the saved VM's own, which may run still, as other copies of it may.
        config.console_file = None;
        config.logger.iter_mut().for_each(|logger| logger.log_path = None);
        config.metrics = None;
        config.serial = None;
        if let Some(vsock) = &mut config.vsock {
            vsock.uds_path = None;
        }
        for interface in &mut config.network_interfaces {
            let other = request.network_overrides.iter();
            let mut other = other.filter(|it| it.iface_id.as_str() == interface.iface_id);
            if let Some(other) = other.next() {
                interface.host_dev_name = Some(other.host_dev_name.clone());
            }
        }
        config
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
