//! Devices of a started VM: other contents, other limits, plugging and unplugging.

use smartvm_firecracker::api::{DeviceId, PartialDrive, PartialNetworkInterface, PartialPmem};

use super::device_updates::{DriveUpdate, NetworkInterfaceUpdate};
use super::files::Content;
use super::handle::MicroVm;
use super::update::Update;
use crate::config::{
    Breaches, DriveConfig, NetworkInterfaceConfig, PmemConfig, RateLimiterConfig, device_id,
};
use crate::preflight;
use crate::smart_vm_error::SmartVmError;

/// # Live changes
/// They are possible while the VM runs or is paused; in any other state they are `INVALID_STATE`.
/// What a value breaks is found before anything happens (`INVALID_CONFIG`), a field or call that the
/// running Firecracker does not know before it is sent (`FIRECRACKER_TOO_OLD`), and when Firecracker
/// refuses (`API_REFUSED`), everything is as it was. Dropping the future of a call does not stop it;
/// a kill does (`INTERRUPTED`).
impl MicroVm {
    /// Gives a drive another content, other limits, or both. The content is used as at the start: a
    /// private copy where the drive is one. Calls of the guest that are under way end first.
    ///
    /// # Errors
    /// `NO_SUCH_DEVICE` when the VM has no such drive, `DRIVE_UNUSABLE` or `DRIVE_STAGING_FAILED` when
    /// the file cannot be used; else as all [live changes](Self#live-changes).
    pub async fn update_drive(&self, id: &str, update: DriveUpdate) -> Result<(), SmartVmError> {
        let drive_id = checked(id, |breaches| limits(update.rate_limiter.as_ref(), breaches))?;
        let content = match &update.path_on_host {
            None => None,
            Some(path) => {
                let mut drive = self.drive(id);
                drive.path_on_host = path.clone();
                drive.ephemeral = update.ephemeral.or(drive.ephemeral);
                preflight::check_drive(&drive, self.stages())?;
                Some(Content::of_drive(&drive, self.stages()))
            }
        };
        let rate_limiter = update.rate_limiter.as_ref().map(RateLimiterConfig::to_wire);
        let patch = PartialDrive { drive_id, path_on_host: None, rate_limiter };
        self.update(Update::Drive { patch, content }).await
    }

    /// Plugs in a drive. Needs `enablePci`; the guest finds it when it looks at its PCI bus anew. Since
    /// Firecracker 1.16.
    ///
    /// # Errors
    /// `DEVICE_EXISTS` when a drive has the id, else as [`update_drive`](Self::update_drive).
    pub async fn add_drive(&self, drive: DriveConfig) -> Result<(), SmartVmError> {
        let mut breaches = Breaches::default();
        drive.check("drive", &mut breaches);
        breaches.require(!drive.is_root_device, "drive.isRootDevice", "must be false");
        breaches.into_result()?;
        preflight::check_drive(&drive, self.stages())?;
        let content = Content::of_drive(&drive, self.stages());
        self.update(Update::AddDrive { drive, content }).await
    }

    /// Unplugs a drive, which the guest must have let go of before. Its private copy is removed. Since
    /// Firecracker 1.16.
    ///
    /// # Errors
    /// As all [live changes](Self#live-changes).
    pub async fn remove_drive(&self, id: &str) -> Result<(), SmartVmError> {
        self.update(Update::RemoveDrive(checked(id, |_| {})?)).await
    }

    /// Gives a persistent memory device other limits. Since Firecracker 1.16.
    ///
    /// # Errors
    /// As all [live changes](Self#live-changes).
    pub async fn update_pmem(
        &self,
        id: &str,
        rate_limiter: &RateLimiterConfig,
    ) -> Result<(), SmartVmError> {
        let id = checked(id, |breaches| limits(Some(rate_limiter), breaches))?;
        let rate_limiter = Some(rate_limiter.to_wire());
        self.update(Update::Pmem(PartialPmem { id, rate_limiter })).await
    }

    /// Plugs in a persistent memory device, as [`add_drive`](Self::add_drive) does a drive.
    ///
    /// # Errors
    /// As [`add_drive`](Self::add_drive).
    pub async fn add_pmem(&self, device: PmemConfig) -> Result<(), SmartVmError> {
        let mut breaches = Breaches::default();
        device.check("pmem", &mut breaches);
        breaches.require(!device.root_device, "pmem.rootDevice", "must be false");
        breaches.into_result()?;
        preflight::check_pmem(&device, self.stages())?;
        let content = Content::of_pmem(&device, self.stages());
        self.update(Update::AddPmem { device, content }).await
    }

    /// Unplugs a persistent memory device, as [`remove_drive`](Self::remove_drive) does a drive.
    ///
    /// # Errors
    /// As all [live changes](Self#live-changes).
    pub async fn remove_pmem(&self, id: &str) -> Result<(), SmartVmError> {
        self.update(Update::RemovePmem(checked(id, |_| {})?)).await
    }

    /// Gives a network device other limits.
    ///
    /// # Errors
    /// As all [live changes](Self#live-changes).
    pub async fn update_network_interface(
        &self,
        id: &str,
        update: NetworkInterfaceUpdate,
    ) -> Result<(), SmartVmError> {
        let iface_id = checked(id, |breaches| {
            limits(update.rx_rate_limiter.as_ref(), breaches);
            limits(update.tx_rate_limiter.as_ref(), breaches);
        })?;
        let rx_rate_limiter = update.rx_rate_limiter.as_ref().map(RateLimiterConfig::to_wire);
        let tx_rate_limiter = update.tx_rate_limiter.as_ref().map(RateLimiterConfig::to_wire);
        let patch = PartialNetworkInterface { iface_id, rx_rate_limiter, tx_rate_limiter };
        self.update(Update::NetworkInterface(patch)).await
    }

    /// Plugs in a network device on an existing TAP, as [`add_drive`](Self::add_drive) does a drive.
    ///
    /// # Errors
    /// `TAP_UNUSABLE` when there is no such TAP, else as all [live changes](Self#live-changes).
    pub async fn add_network_interface(
        &self,
        interface: &NetworkInterfaceConfig,
    ) -> Result<(), SmartVmError> {
        let mut breaches = Breaches::default();
        interface.check("networkInterface", &mut breaches);
        breaches.into_result()?;
        preflight::check_tap(interface, &self.spec().config().jail)?;
        self.update(Update::AddNetworkInterface(interface.to_wire())).await
    }

    /// Unplugs a network device, as [`remove_drive`](Self::remove_drive) does a drive.
    ///
    /// # Errors
    /// As all [live changes](Self#live-changes).
    pub async fn remove_network_interface(&self, id: &str) -> Result<(), SmartVmError> {
        self.update(Update::RemoveNetworkInterface(checked(id, |_| {})?)).await
    }

    /// The configuration of a drive; of one that was plugged in, what all have in common.
    fn drive(&self, id: &str) -> DriveConfig {
        let drives = &self.spec().config().drives;
        let known = drives.iter().find(|drive| drive.drive_id == id).cloned();
        known.unwrap_or_else(|| DriveConfig { drive_id: id.to_owned(), ..DriveConfig::default() })
    }
}

/// The id of a device, once it and the values that go with it were checked.
fn checked(id: &str, check: impl FnOnce(&mut Breaches)) -> Result<DeviceId, SmartVmError> {
    let mut breaches = Breaches::default();
    device_id::check(id, "id", &mut breaches);
    check(&mut breaches);
    breaches.into_result()?;
    Ok(device_id::to_wire(id))
}

fn limits(limiter: Option<&RateLimiterConfig>, breaches: &mut Breaches) {
    if let Some(limiter) = limiter {
        limiter.check("rateLimiter", breaches);
    }
}
