//! Any bytes as lines of Firecracker's metrics: read, added up, and shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smartvm_firecracker::{MetricsFlush, MetricsTotals};

fuzz_target!(|bytes: &[u8]| {
    let mut totals = MetricsTotals::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(flush) = MetricsFlush::parse(line) {
            totals.add(flush);
        }
    }
    let _ = totals.snapshot().to_prometheus("vm");
});
