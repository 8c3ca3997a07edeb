//! How long the steps of a start take.

use std::time::{Duration, Instant};

use super::report::StartReport;
use crate::jail::Confinement;

/// Measures the steps of a start.
pub(super) struct Clock {
    begun: Instant,
    last: Instant,
    steps: Vec<(&'static str, Duration)>,
}

impl Clock {
    pub(super) fn start() -> Self {
        let now = Instant::now();
        Self { begun: now, last: now, steps: Vec::with_capacity(8) }
    }

    pub(super) fn step(&mut self, name: &'static str) {
        let now = Instant::now();
        self.steps.push((name, now - self.last));
        self.last = now;
    }

    pub(super) fn report(self, confinement: Confinement) -> StartReport {
        let total = self.last - self.begun;
        StartReport { steps: self.steps, total, confinement: Some(confinement) }
    }
}
