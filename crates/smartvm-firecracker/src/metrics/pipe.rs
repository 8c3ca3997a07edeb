//! Where Firecracker writes its metrics.

use crate::stream::{BoundedFile, Fifo};

/// How the metrics of a Firecracker reach us.
#[derive(Debug)]
pub struct MetricsPipe {
    /// The pipe that Firecracker writes to.
    pub fifo: Fifo,
    /// A file that every line is copied to as it comes.
    pub file: Option<BoundedFile>,
    /// Whether Firecracker is told of the pipe at its launch. If not, it must be told with
    /// [`ApiClient::put_metrics`](crate::ApiClient::put_metrics), which can say more.
    pub at_launch: bool,
}
