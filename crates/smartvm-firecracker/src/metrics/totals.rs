//! Adding lines up.

use super::flush::{MAX_METRICS, MetricsFlush};
use super::known::{Form, Name};
use super::snapshot::{Metric, MetricsSnapshot};

/// The sum of all lines of metrics that one Firecracker wrote.
#[derive(Debug, Clone, Default)]
pub struct MetricsTotals {
    now: MetricsSnapshot,
}

impl MetricsTotals {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line. A count never falls, and stays at its largest value when it would exceed it.
    pub fn add(&mut self, flush: MetricsFlush) {
        self.now.timestamp_ms = flush.timestamp_ms;
        self.now.flushes += 1;
        for (name, value) in flush.values {
            let form = Name::of(&name).form();
            if let Some(metric) = self.now.values.get_mut(&name) {
                metric.value = match form {
                    Form::Added => metric.value.saturating_add(value),
                    Form::Total => metric.value.max(value),
                    Form::Gauge => value,
                };
            } else if self.now.values.len() < MAX_METRICS {
                self.now.values.insert(name, Metric { kind: form.kind(), value });
            }
        }
    }

    /// Says how many lines were damaged so far, or too long to be read.
    pub fn set_damaged(&mut self, lines: u64) {
        self.now.damaged_lines = lines;
    }

    /// The sum at this moment.
    #[must_use]
    pub const fn snapshot(&self) -> &MetricsSnapshot {
        &self.now
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn flush(values: &[(&str, u64)]) -> MetricsFlush {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        MetricsFlush { timestamp_ms: 1, values }
    }

    #[test]
    fn counts_add_up_and_states_are_the_latest() {
        let mut totals = MetricsTotals::new();
        totals.add(flush(&[("vcpu.exit_io_in", 3), ("latencies_us.pause_vm", 900)]));
        totals.add(flush(&[("vcpu.exit_io_in", 4), ("latencies_us.pause_vm", 100)]));
        totals.add(flush(&[("signals.sigsegv", 1), ("a_later.metric", 2)]));
        totals.add(flush(&[("signals.sigsegv", 1), ("a_later.metric", 2)]));
        let now = totals.snapshot();
        assert_eq!(now.get("vcpu.exit_io_in"), Some(7));
        assert_eq!(now.get("latencies_us.pause_vm"), Some(100));
        assert_eq!(now.get("signals.sigsegv"), Some(1));
        assert_eq!(now.get("a_later.metric"), Some(4));
        assert_eq!(now.get("nothing"), None);
        assert_eq!(now.flushes, 4);
    }

    #[test]
    fn ever_new_names_are_bounded() {
        let mut totals = MetricsTotals::new();
        for line in 0..20 {
            let values = (0..2000).map(|i| (format!("x.{line}-{i}"), 1)).collect();
            totals.add(MetricsFlush { timestamp_ms: 1, values });
        }
        assert_eq!(totals.snapshot().iter().count(), MAX_METRICS);
    }

    proptest! {
        #[test]
        fn a_count_never_falls(values in proptest::collection::vec(any::<u64>(), 1..20)) {
            let mut totals = MetricsTotals::new();
            let mut before = 0;
            for value in values {
                totals.add(flush(&[("vcpu.failures", value), ("signals.sighup", value)]));
                let now = totals.snapshot().get("vcpu.failures").unwrap();
                prop_assert!(now >= before);
                prop_assert!(totals.snapshot().get("signals.sighup") <= Some(now));
                before = now;
            }
        }
    }
}
