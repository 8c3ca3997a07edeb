//! The calls about Firecracker and the VM as a whole.

use crate::FirecrackerVersion;
use crate::api::{
    ActionType, FullVmConfiguration, InstanceActionInfo, InstanceInfo, VersionAnswer, Vm,
    VmRunState,
};
use crate::client::{ApiClient, ApiError};

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

    /// All that was configured.
    ///
    /// # Errors
    /// When Firecracker does not answer.
    pub async fn get_vm_config(&self) -> Result<FullVmConfiguration, ApiError> {
        self.get("/vm/config").await
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

    /// Has Firecracker write its metrics now.
    ///
    /// # Errors
    /// When the guest was not booted or no metrics were configured.
    pub async fn flush_metrics(&self) -> Result<(), ApiError> {
        self.action(ActionType::FlushMetrics).await
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
