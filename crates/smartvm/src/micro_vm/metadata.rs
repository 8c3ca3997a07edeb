//! What a guest can look up, and what Firecracker was told.

use serde_json::{Map, Value};
use smartvm_firecracker::api::FullVmConfiguration;

use super::handle::MicroVm;
use super::update::Update;
use crate::config::{Breaches, fits};
use crate::smart_vm_error::SmartVmError;

/// # Metadata
/// The guest reaches it when the configuration has an `mmds` section.
impl MicroVm {
    /// Replaces all that the guest can look up.
    ///
    /// # Errors
    /// `NO_CLIENT` before a start and after the end, `INVALID_CONFIG` when it is larger than 51200
    /// bytes, `API_REFUSED` when Firecracker will not take it.
    pub async fn set_metadata(&self, data: Map<String, Value>) -> Result<(), SmartVmError> {
        self.change_metadata("set_metadata", data, Update::SetMetadata).await
    }

    /// Changes what the guest can look up: keys are added or replaced, those that are null removed
    /// (a JSON merge patch).
    ///
    /// # Errors
    /// As [`set_metadata`](Self::set_metadata); Firecracker also refuses when nothing was set before.
    pub async fn update_metadata(&self, change: Map<String, Value>) -> Result<(), SmartVmError> {
        self.change_metadata("update_metadata", change, Update::ChangeMetadata).await
    }

    async fn change_metadata(
        &self,
        call: &'static str,
        data: Map<String, Value>,
        update: impl FnOnce(Value) -> Update,
    ) -> Result<(), SmartVmError> {
        let mut breaches = Breaches::default();
        breaches.require(fits(&data), "data", "must have at most 51200 bytes");
        breaches.into_result()?;
        // As every call that asks Firecracker before it is there, not one of a wrong state.
        self.client(call)?;
        self.update(update(Value::Object(data))).await
    }

    /// All that the guest can look up.
    ///
    /// # Errors
    /// `NO_CLIENT` before a start and after the end, `API_REFUSED` when nothing was set.
    pub async fn get_metadata(&self) -> Result<Value, SmartVmError> {
        self.ask_firecracker("get_metadata", |client| async move { client.get_mmds().await }).await
    }

    /// The configuration that Firecracker has, in its own words, with the names that it knows files by.
    ///
    /// # Errors
    /// `NO_CLIENT` before a start and after the end, `SOCKET_REQUEST_FAILED` when it does not answer.
    pub async fn vm_config(&self) -> Result<FullVmConfiguration, SmartVmError> {
        self.ask_firecracker("vm_config", |client| async move { client.get_vm_config().await })
            .await
    }
}
