//! The calls about devices of which there is one, before boot.

use crate::api::{EntropyDevice, Logger, Metrics, SerialDevice, Vsock};
use crate::client::{ApiClient, ApiError};

impl ApiClient {
    /// Adds or replaces the vsock. Firecracker makes its socket now.
    ///
    /// # Errors
    /// When the socket is there already or its path is too long.
    pub async fn put_vsock(&self, vsock: &Vsock) -> Result<(), ApiError> {
        self.put("/vsock", vsock).await
    }

    /// Adds the source of random bytes.
    ///
    /// # Errors
    /// When the guest was booted already.
    pub async fn put_entropy(&self, entropy: &EntropyDevice) -> Result<(), ApiError> {
        self.put("/entropy", entropy).await
    }

    /// Sets where the guest's serial console goes. Since 1.14.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub async fn put_serial(&self, serial: &SerialDevice) -> Result<(), ApiError> {
        self.put("/serial", serial).await
    }

    /// Sets where Firecracker's own log goes.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub async fn put_logger(&self, logger: &Logger) -> Result<(), ApiError> {
        self.put("/logger", logger).await
    }

    /// Sets where Firecracker's counters go; once.
    ///
    /// # Errors
    /// When the file cannot be opened or one was set already.
    pub async fn put_metrics(&self, metrics: &Metrics) -> Result<(), ApiError> {
        self.put("/metrics", metrics).await
    }
}
