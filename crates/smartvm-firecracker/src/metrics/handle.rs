//! The metrics as their users see them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::MetricsSnapshot;
use crate::api::{ActionType, InstanceActionInfo};
use crate::client::{ApiClient, ApiError};

/// How long a line may take to arrive that Firecracker has written already.
const ARRIVAL: Duration = Duration::from_secs(5);

/// The metrics of one Firecracker. Clones are the same metrics. They outlive the process.
#[derive(Debug, Clone)]
pub struct Metrics {
    latest: watch::Receiver<Arc<MetricsSnapshot>>,
    ask: mpsc::Sender<oneshot::Sender<()>>,
}

impl Metrics {
    pub(super) const fn new(
        latest: watch::Receiver<Arc<MetricsSnapshot>>,
        ask: mpsc::Sender<oneshot::Sender<()>>,
    ) -> Self {
        Self { latest, ask }
    }

    /// All that Firecracker has written so far, added up. It writes at the guest's boot, then every
    /// minute and when it is asked.
    #[must_use]
    pub fn latest(&self) -> Arc<MetricsSnapshot> {
        Arc::clone(&self.latest.borrow())
    }

    /// Waits for the next flush, or a damaged one, after what [`latest`](Self::latest) or this gave
    /// through this handle. `None` when no more will come. Cancel safe.
    pub async fn next(&mut self) -> Option<Arc<MetricsSnapshot>> {
        self.latest.changed().await.ok()?;
        Some(Arc::clone(&self.latest.borrow_and_update()))
    }

    /// Has Firecracker write its metrics now, and returns them. Only after the guest's boot.
    ///
    /// When the future is dropped, Firecracker may write them all the same.
    ///
    /// # Errors
    /// When Firecracker refuses or does not answer; when it says that it wrote them and nothing
    /// arrived, within 5 seconds.
    pub async fn flush(
        &self,
        client: &ApiClient,
    ) -> Result<Arc<MetricsSnapshot>, FlushMetricsError> {
        let before = self.latest().flushes;
        let order = InstanceActionInfo { action_type: ActionType::FlushMetrics };
        client.put("/actions", &order).await?;
        // Firecracker answers after it has written: the line is in the pipe, or was read already.
        let read = timeout(ARRIVAL, async {
            let (done, read) = oneshot::channel();
            self.ask.send(done).await.ok()?;
            read.await.ok()
        });
        let read = read.await.ok().flatten();
        let now = self.latest();
        match read {
            Some(()) if now.flushes > before => Ok(now),
            _ => Err(FlushMetricsError::Lost),
        }
    }
}

/// The metrics could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlushMetricsError {
    /// Firecracker did not write them.
    #[error("Firecracker did not write its metrics")]
    Api(#[from] ApiError),
    /// Firecracker wrote them and they did not arrive: it ended, or the pipe was full.
    #[error("Firecracker's metrics did not arrive")]
    Lost,
}

impl FlushMetricsError {
    /// A stable name of the kind of failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Api(source) => source.code(),
            Self::Lost => "METRICS_LOST",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Api(source) => source.hint(),
            Self::Lost => None,
        }
    }
}
