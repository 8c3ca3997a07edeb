//! The calls about network interfaces.

use crate::api::{DeviceId, NetworkInterface, PartialNetworkInterface};
use crate::client::{ApiClient, ApiError};

impl ApiClient {
    /// Adds or replaces a network interface, before boot. Firecracker opens its
    /// TAP device now.
    ///
    /// # Errors
    /// When that cannot be opened or the guest was booted already.
    pub async fn put_network_interface(
        &self,
        network_interface: &NetworkInterface,
    ) -> Result<(), ApiError> {
        self.put(&format!("/network-interfaces/{}", network_interface.iface_id), network_interface)
            .await
    }

    /// Gives a network interface other limits, after boot.
    ///
    /// # Errors
    /// When there is no such network interface or the guest was not booted.
    pub async fn patch_network_interface(
        &self,
        change: &PartialNetworkInterface,
    ) -> Result<(), ApiError> {
        self.patch(&format!("/network-interfaces/{}", change.iface_id), change).await
    }

    /// Plugs a network interface into the running guest (developer preview). The guest finds it when it scans
    /// its PCI bus. Since 1.16, with `--enable-pci`.
    ///
    /// # Errors
    /// When what backs it cannot be opened, the name is taken, or PCI is off.
    pub async fn hotplug_network_interface(
        &self,
        network_interface: &NetworkInterface,
    ) -> Result<(), ApiError> {
        let path = format!("/network-interfaces/{}", network_interface.iface_id);
        self.admit_hotplug(&path)?;
        self.put(&path, network_interface).await
    }

    /// Unplugs a network interface (developer preview). The guest must have given its PCI device up before;
    /// the root device cannot be unplugged. Since 1.16, with `--enable-pci`.
    ///
    /// # Errors
    /// When there is no such network interface, it is in use, or the guest was not booted.
    pub async fn delete_network_interface(&self, id: &DeviceId) -> Result<(), ApiError> {
        self.delete(&format!("/network-interfaces/{id}")).await
    }
}
