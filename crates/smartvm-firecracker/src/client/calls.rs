//! The calls that Firecracker knows, by name.

use super::{ApiClient, ApiError};
use crate::FirecrackerVersion;
use crate::api::{
    ActionType, BootSource, Drive, InstanceActionInfo, InstanceInfo, MachineConfiguration,
    VersionAnswer, Vm, VmRunState,
};

/// Each call fails as [`ApiClient::get`], [`ApiClient::put`] and [`ApiClient::patch`] do.
impl ApiClient {
    /// The version of the running Firecracker.
    ///
    /// # Errors
    /// When Firecracker does not answer, or not with a version.
    pub async fn version(&self) -> Result<FirecrackerVersion, ApiError> {
        self.get::<VersionAnswer>("/version").await.map(|answer| answer.firecracker_version)
    }

    /// What Firecracker says about itself and its VM.
    ///
    /// # Errors
    /// When Firecracker does not answer.
    pub async fn instance_info(&self) -> Result<InstanceInfo, ApiError> {
        self.get("/").await
    }

    /// Sets the guest's processors and memory, before boot.
    ///
    /// # Errors
    /// When a value is out of range or the guest was booted already.
    pub async fn put_machine_config(&self, machine: &MachineConfiguration) -> Result<(), ApiError> {
        self.put("/machine-config", machine).await
    }

    /// Sets what the guest boots, before boot. Firecracker opens the kernel now.
    ///
    /// # Errors
    /// When a file cannot be opened or the guest was booted already.
    pub async fn put_boot_source(&self, source: &BootSource) -> Result<(), ApiError> {
        self.put("/boot-source", source).await
    }

    /// Adds or replaces a drive, before boot. Firecracker opens its file now.
    ///
    /// # Errors
    /// When the file cannot be opened or the guest was booted already.
    pub async fn put_drive(&self, drive: &Drive) -> Result<(), ApiError> {
        self.put(&format!("/drives/{}", drive.drive_id), drive).await
    }

    /// Boots the guest. It is running when this returns; what runs in it is not known.
    ///
    /// # Errors
    /// When no kernel was set, it cannot be loaded, or the guest was booted already.
    pub async fn instance_start(&self) -> Result<(), ApiError> {
        self.action(ActionType::InstanceStart).await
    }

    /// Presses Ctrl-Alt-Del on the guest's keyboard, which asks a willing guest to restart and
    /// with that ends Firecracker. x86_64 only.
    ///
    /// # Errors
    /// When the guest was not booted.
    pub async fn send_ctrl_alt_del(&self) -> Result<(), ApiError> {
        self.action(ActionType::SendCtrlAltDel).await
    }

    /// Pauses or resumes the guest's processors. To be what it is already is success.
    ///
    /// # Errors
    /// When the guest was not booted.
    pub async fn set_vm_state(&self, state: VmRunState) -> Result<(), ApiError> {
        self.patch("/vm", &Vm { state }).await
    }

    async fn action(&self, action_type: ActionType) -> Result<(), ApiError> {
        self.put("/actions", &InstanceActionInfo { action_type }).await
    }
}
