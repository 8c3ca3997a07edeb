//! The calls that make the machine.

use crate::api::{BootSource, CpuConfig, MachineConfiguration, MachineConfigurationUpdate};
use crate::client::{ApiClient, ApiError};

impl ApiClient {
    /// Sets the guest's processors and memory, before boot.
    ///
    /// # Errors
    /// When a value is out of range or the guest was booted already.
    pub async fn put_machine_config(&self, machine: &MachineConfiguration) -> Result<(), ApiError> {
        self.put("/machine-config", machine).await
    }

    /// Changes some of the guest's processors and memory, before boot.
    ///
    /// # Errors
    /// When a value is out of range or the guest was booted already.
    pub async fn patch_machine_config(
        &self,
        change: &MachineConfigurationUpdate,
    ) -> Result<(), ApiError> {
        self.patch("/machine-config", change).await
    }

    /// The guest's processors and memory.
    ///
    /// # Errors
    /// When Firecracker does not answer.
    pub async fn get_machine_config(&self) -> Result<MachineConfiguration, ApiError> {
        self.get("/machine-config").await
    }

    /// Sets what the guest boots, before boot. Firecracker opens the kernel now.
    ///
    /// # Errors
    /// When a file cannot be opened or the guest was booted already.
    pub async fn put_boot_source(&self, source: &BootSource) -> Result<(), ApiError> {
        self.put("/boot-source", source).await
    }

    /// Changes the features that the guest's processors show, before boot.
    ///
    /// # Errors
    /// When the change is not of this architecture or the guest was booted already. What this
    /// processor does not have is refused only when the guest boots.
    pub async fn put_cpu_config(&self, config: &CpuConfig) -> Result<(), ApiError> {
        self.put("/cpu-config", config).await
    }
}
