//! What a VM says of itself.

use std::sync::Arc;

use smartvm_firecracker::{FirecrackerLog, FlushMetricsError, Metrics, MetricsSnapshot};

use super::handle::MicroVm;
use crate::smart_vm_error::SmartVmError;

impl MicroVm {
    /// What Firecracker counted until it last wrote its metrics, added up since its start. It writes
    /// them at the guest's boot, then every minute, and with [`flush_metrics`](Self::flush_metrics).
    /// They stay when the VM has ended.
    ///
    /// # Errors
    /// `NO_CLIENT` before Firecracker was started.
    pub fn metrics(&self) -> Result<Arc<MetricsSnapshot>, SmartVmError> {
        self.metrics_of("metrics").map(|metrics| metrics.latest())
    }

    /// Has Firecracker write its metrics now, and returns them. The guest must have been booted.
    ///
    /// # Errors
    /// `NO_CLIENT` before a start and after the end, `API_REFUSED` or `SOCKET_REQUEST_FAILED` when
    /// Firecracker does not, `METRICS_LOST` when it did and they did not arrive.
    pub async fn flush_metrics(&self) -> Result<Arc<MetricsSnapshot>, SmartVmError> {
        let call = "flush_metrics";
        let client = self.client(call)?;
        self.metrics_of(call)?.flush(&client).await.map_err(|error| match error {
            FlushMetricsError::Api(source) => {
                SmartVmError::of_api(call, source, self.process_id().ok())
            }
            lost => SmartVmError::Metrics(lost),
        })
    }

    /// Firecracker's own log, which also goes to `tracing`. It stays when the VM has ended.
    ///
    /// # Errors
    /// `NO_CLIENT` before Firecracker was started.
    pub fn firecracker_log(&self) -> Result<FirecrackerLog, SmartVmError> {
        let log = self.running(|running| running.log.clone());
        log.ok_or(SmartVmError::NoClient { call: "firecracker_log" })
    }

    fn metrics_of(&self, call: &'static str) -> Result<Metrics, SmartVmError> {
        let metrics = self.running(|running| running.metrics.clone());
        metrics.ok_or(SmartVmError::NoClient { call })
    }
}
