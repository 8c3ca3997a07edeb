//! The calls about drives.

use crate::api::{DeviceId, Drive, PartialDrive};
use crate::client::{ApiClient, ApiError};

impl ApiClient {
    /// Adds or replaces a drive, before boot. Firecracker opens its file now.
    ///
    /// # Errors
    /// When that cannot be opened or the guest was booted already.
    pub async fn put_drive(&self, drive: &Drive) -> Result<(), ApiError> {
        self.put(&format!("/drives/{}", drive.drive_id), drive).await
    }

    /// Gives a drive another file or other limits, after boot.
    ///
    /// # Errors
    /// When there is no such drive or the guest was not booted.
    pub async fn patch_drive(&self, change: &PartialDrive) -> Result<(), ApiError> {
        self.patch(&format!("/drives/{}", change.drive_id), change).await
    }

    /// Plugs a drive into the running guest (developer preview). The guest finds it when it scans
    /// its PCI bus. Since 1.16, with `--enable-pci`.
    ///
    /// # Errors
    /// When what backs it cannot be opened, the name is taken, or PCI is off.
    pub async fn hotplug_drive(&self, drive: &Drive) -> Result<(), ApiError> {
        let path = format!("/drives/{}", drive.drive_id);
        self.admit_hotplug(&path)?;
        self.put(&path, drive).await
    }

    /// Unplugs a drive (developer preview). The guest must have given its PCI device up before;
    /// the root device cannot be unplugged. Since 1.16, with `--enable-pci`.
    ///
    /// # Errors
    /// When there is no such drive, it is in use, or the guest was not booted.
    pub async fn delete_drive(&self, id: &DeviceId) -> Result<(), ApiError> {
        self.delete(&format!("/drives/{id}")).await
    }
}
