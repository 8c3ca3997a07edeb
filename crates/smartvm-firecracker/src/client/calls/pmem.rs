//! The calls about persistent memory.

use crate::api::{DeviceId, PartialPmem, Pmem};
use crate::client::{ApiClient, ApiError};

impl ApiClient {
    /// Adds or replaces a persistent memory device, before boot. Firecracker opens its file now. Since
    /// 1.14.
    ///
    /// # Errors
    /// When that cannot be opened or the guest was booted already.
    pub async fn put_pmem(&self, pmem: &Pmem) -> Result<(), ApiError> {
        self.put(&format!("/pmem/{}", pmem.id), pmem).await
    }

    /// Gives a persistent memory device other limits, after boot. Since 1.16.
    ///
    /// # Errors
    /// When there is no such device or the guest was not booted.
    pub async fn patch_pmem(&self, change: &PartialPmem) -> Result<(), ApiError> {
        self.patch(&format!("/pmem/{}", change.id), change).await
    }

    /// Plugs a persistent memory device into the running guest (developer preview). The guest finds it when it scans
    /// its PCI bus. Since 1.16, with `--enable-pci`.
    ///
    /// # Errors
    /// When what backs it cannot be opened, the name is taken, or PCI is off.
    pub async fn hotplug_pmem(&self, pmem: &Pmem) -> Result<(), ApiError> {
        let path = format!("/pmem/{}", pmem.id);
        self.admit_hotplug(&path)?;
        self.put(&path, pmem).await
    }

    /// Unplugs a persistent memory device (developer preview). The guest must have given its PCI device up before;
    /// the root device cannot be unplugged. Since 1.16, with `--enable-pci`.
    ///
    /// # Errors
    /// When there is no such device, it is in use, or the guest was not booted.
    pub async fn delete_pmem(&self, id: &DeviceId) -> Result<(), ApiError> {
        self.delete(&format!("/pmem/{id}")).await
    }
}
