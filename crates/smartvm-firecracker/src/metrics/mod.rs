//! Firecracker's metrics: read as it flushes them, added up, and shown.
//!
//! Firecracker writes a line of JSON at the guest's boot, every minute, and when it is asked. Most
//! of its numbers are what was added since the line before, so a single line says little:
//! [`MetricsTotals`] adds them up.
//!
//! * `flush` reads a line, `totals` adds lines up, `snapshot` is what came of it,
//! * `known` is the table of the metrics that are known and what their numbers mean,
//! * `prometheus` writes a snapshot as text for Prometheus,
//! * `pipe` and `pump` carry the lines from Firecracker to [`Metrics`].

mod flush;
mod handle;
mod known;
mod pipe;
mod prometheus;
mod pump;
mod snapshot;
mod totals;

pub use flush::{MetricsFlush, ParseFlushError};
pub use handle::{FlushMetricsError, Metrics};
pub use known::MetricKind;
pub use pipe::MetricsPipe;
pub(crate) use pump::{MetricsPump, start as start_pump};
pub use snapshot::{Metric, MetricsSnapshot};
pub use totals::MetricsTotals;
