//! The metrics of a VM at one moment.

use std::collections::BTreeMap;

use serde::Serialize;

use super::known::MetricKind;

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Metric {
    /// Whether it only ever grows.
    pub kind: MetricKind,
    /// Its value: of a counter, since Firecracker was started.
    pub value: u64,
}

/// All metrics of a VM as of its last flush, added up since its Firecracker was started.
///
/// Their names are dotted, as `vcpu.exit_io_in`, `block_rootfs.read_bytes` of the drive `rootfs`,
/// `net_eth0.tx_agg.sum_us` of the interface `eth0`; `block` and `net` are the sums over all
/// devices. Metrics that we do not know are there as well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct MetricsSnapshot {
    /// When Firecracker wrote the last line, in milliseconds since 1970; 0 before the first.
    pub timestamp_ms: u64,
    /// How many lines Firecracker wrote.
    pub flushes: u64,
    /// How many lines could not be read, and are missing in the counters.
    pub damaged_lines: u64,
    pub(super) values: BTreeMap<String, Metric>,
}

impl MetricsSnapshot {
    /// The value of a metric; `None` when Firecracker has not written one of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u64> {
        self.values.get(name).map(|metric| metric.value)
    }

    /// All metrics in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Metric)> {
        self.values.iter().map(|(name, metric)| (name.as_str(), *metric))
    }

    /// The metrics as text for Prometheus, labelled as those of VM `vm`.
    ///
    /// `block_rootfs.read_bytes` becomes `smartvm_block_read_bytes_total{vm="…",device="rootfs"}`;
    /// counters end in `_total`. The sums over all devices are left out, as Prometheus can add.
    /// Several VMs' texts may not be joined as they are: a family of metrics may be described once.
    /// Use [`MetricsSnapshot::to_prometheus_of`] for that.
    #[must_use]
    pub fn to_prometheus(&self, vm: &str) -> String {
        Self::to_prometheus_of([(vm, self)])
    }

    /// The metrics of several VMs as one text for Prometheus.
    #[must_use]
    pub fn to_prometheus_of<'a>(vms: impl IntoIterator<Item = (&'a str, &'a Self)>) -> String {
        super::prometheus::expose(vms)
    }
}
