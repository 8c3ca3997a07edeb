//! The calls about memory that can be plugged, since 1.14.

use crate::api::{MemoryHotplugConfig, MemoryHotplugSizeUpdate, MemoryHotplugStatus};
use crate::client::{ApiClient, ApiError};

impl ApiClient {
    /// Sets how much memory the guest can be given, before boot.
    ///
    /// # Errors
    /// When the sizes do not go together or the guest was booted already.
    pub async fn put_memory_hotplug(&self, config: &MemoryHotplugConfig) -> Result<(), ApiError> {
        self.put("/hotplug/memory", config).await
    }

    /// Sets how much of it the guest shall have, after boot. It follows in its own time.
    ///
    /// # Errors
    /// When that is more than there is, or not a multiple of the block's size.
    pub async fn patch_memory_hotplug(
        &self,
        change: &MemoryHotplugSizeUpdate,
    ) -> Result<(), ApiError> {
        self.patch("/hotplug/memory", change).await
    }

    /// How much of it the guest has, after boot.
    ///
    /// # Errors
    /// When it was not configured.
    pub async fn get_memory_hotplug(&self) -> Result<MemoryHotplugStatus, ApiError> {
        self.get("/hotplug/memory").await
    }
}
