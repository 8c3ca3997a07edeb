//! The calls about snapshots.

use crate::api::{SnapshotCreateParams, SnapshotLoadParams};
use crate::client::{ApiClient, ApiError};

impl ApiClient {
    /// Writes the paused guest to files. Firecracker does nothing else meanwhile.
    ///
    /// It has the client's snapshot deadline; see [`ApiClient::with_snapshot_deadline`].
    ///
    /// # Errors
    /// When the guest is not paused, or a file cannot be written. The guest is paused still.
    pub async fn create_snapshot(&self, snapshot: &SnapshotCreateParams) -> Result<(), ApiError> {
        self.patient().put("/snapshot/create", snapshot).await
    }

    /// Makes this fresh Firecracker the guest of a snapshot. When it fails, Firecracker ends.
    ///
    /// It has the client's snapshot deadline; see [`ApiClient::with_snapshot_deadline`].
    ///
    /// # Errors
    /// When something of the guest was configured already, or the snapshot does not fit.
    pub async fn load_snapshot(&self, snapshot: &SnapshotLoadParams) -> Result<(), ApiError> {
        self.patient().put("/snapshot/load", snapshot).await
    }
}
