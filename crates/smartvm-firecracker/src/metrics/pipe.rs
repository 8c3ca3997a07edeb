//! Where Firecracker writes its metrics.

use crate::stream::{BoundedFile, Fifo};

/// How the metrics of a Firecracker reach us.
#[derive(Debug)]
pub struct MetricsPipe {
    /// The pipe that Firecracker writes to.
    pub fifo: Fifo,
    /// A file that every line is copied to as it comes.
    pub file: Option<BoundedFile>,
}
