//! What a restored VM is made of.
//!
//! A manifest may be a stranger's. Each part of its configuration is either a description of what
//! `vmstate` holds anyway, or decided by who restores, or bounded by both; the table is in ADR 40. What
//! is not named here is left as it was written, and describes.

use super::restore::RestoreVm;
use super::stored::Snapshot;
use crate::config::{DriveConfig, NetworkInterfaceConfig, PmemConfig, VmConfig};
use crate::snapshot::{DriveContent, DriveKind, SavedDrive};

/// The configuration of the saved VM, with the id, the jail and the TAPs of the one that restores it, and
/// without the files of the host that only one VM can have.
pub(super) fn restored_config(request: &RestoreVm, snapshot: &Snapshot, jailed: bool) -> VmConfig {
    let manifest = snapshot.manifest();
    let mut config = manifest.config.clone();
    config.id = request.id.as_ref().map(ToString::to_string);
    config.machine_config.track_dirty_pages = Some(request.track_dirty_pages);
    config.jail = request.jail.clone();
    if jailed {
        config.jail.tighten(&manifest.config.jail);
    }
    // They are the saved VM's own, which may run still, as other copies of it may; and another
    // host's files may be anything here.
    config.console_file = None;
    config.serial = None;
    config.logger = None;
    if let Some(metrics) = &mut config.metrics {
        metrics.metrics_path = None;
    }
    if let Some(vsock) = &mut config.vsock {
        vsock.uds_path = None;
    }
    for interface in &mut config.network_interfaces {
        connect(interface, request, snapshot.is_made_here());
    }
    for drive in &manifest.drives {
        share(drive, &mut config.drives, &mut config.pmem);
    }
    config
}

/// Decides the TAP. Addresses, ports and rules went with the saved VM's own.
fn connect(interface: &mut NetworkInterfaceConfig, request: &RestoreVm, made_here: bool) {
    let mut named = request.network_overrides.iter();
    let named = named.find(|it| it.iface_id.as_str() == interface.iface_id);
    let named = named.map(|it| it.host_dev_name.clone());
    let saved = interface.host_dev_name.take().filter(|_| made_here);
    interface.host_dev_name = named.or(saved);
    interface.ip_address = None;
    interface.firewall = None;
    interface.published_ports.clear();
}

/// Notes where a drive is that the snapshot shares with others.
fn share(saved: &SavedDrive, drives: &mut [DriveConfig], pmem: &mut [PmemConfig]) {
    let DriveContent::Shared { path } = &saved.content else { return };
    let place = match saved.kind {
        DriveKind::Block => drives
            .iter_mut()
            .find(|drive| drive.drive_id == saved.drive_id)
            .map(|drive| &mut drive.path_on_host),
        DriveKind::Pmem => pmem
            .iter_mut()
            .find(|device| device.id == saved.drive_id)
            .map(|device| &mut device.path_on_host),
    };
    if let Some(place) = place {
        path.clone_into(place);
    }
}

#[cfg(test)]
mod tests;
