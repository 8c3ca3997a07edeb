//! The calls about the metadata service.

use serde_json::Value;

use crate::api::MmdsConfig;
use crate::client::{ApiClient, ApiError};

impl ApiClient {
    /// Sets how the guest reaches the metadata, before boot.
    ///
    /// # Errors
    /// When an interface is not there or the guest was booted already.
    pub async fn put_mmds_config(&self, config: &MmdsConfig) -> Result<(), ApiError> {
        self.put("/mmds/config", config).await
    }

    /// Replaces the metadata: a JSON object, as the guest reads it by path.
    ///
    /// # Errors
    /// When it is longer than Firecracker's limit.
    pub async fn put_mmds(&self, data: &Value) -> Result<(), ApiError> {
        self.put("/mmds", data).await
    }

    /// Changes the metadata: what `change` holds is put over it, `null` removes (RFC 7396).
    ///
    /// # Errors
    /// When nothing was put yet, or the result is longer than Firecracker's limit.
    pub async fn patch_mmds(&self, change: &Value) -> Result<(), ApiError> {
        self.patch("/mmds", change).await
    }

    /// The metadata; `null` when nothing was put yet.
    ///
    /// # Errors
    /// When the guest was booted without metadata.
    pub async fn get_mmds(&self) -> Result<Value, ApiError> {
        self.get("/mmds").await
    }
}
