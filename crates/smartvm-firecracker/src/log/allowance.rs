//! How much of a log may be passed on in how much time.

use std::time::{Duration, Instant};

/// How many bytes a second may pass for good.
const RATE: u64 = 16 * 1024;

/// How many bytes more may pass at once after a silence: a start at the finest level, whole.
const BURST: u64 = 256 * 1024;

/// What a line counts for besides its text.
const LINE: u64 = 128;

/// A bucket of bytes that refills with time.
///
/// It is kept as the moment at which it will be full again. Once it was empty, nothing passes until
/// half of it is there again: so that what is said of lines left out is said seldom.
#[derive(Debug)]
pub(super) struct Allowance {
    full_at: Instant,
    /// How many lines were left out since the last one that passed.
    left_out: u64,
}

/// Whether a line passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It does, and so many before it did not.
    Pass { left_out: u64 },
    /// It does not, and is the first.
    LeaveOut { first: bool },
}

impl Allowance {
    pub(super) const fn new(now: Instant) -> Self {
        Self { full_at: now, left_out: 0 }
    }

    /// Decides on a line with so many bytes.
    pub(super) fn take(&mut self, bytes: usize, now: Instant) -> Verdict {
        let lacking = self.full_at.saturating_duration_since(now);
        let limit = if self.left_out == 0 { time_for(BURST) } else { time_for(BURST / 2) };
        if lacking >= limit {
            self.left_out += 1;
            return Verdict::LeaveOut { first: self.left_out == 1 };
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(LINE);
        self.full_at = now + lacking + time_for(bytes);
        Verdict::Pass { left_out: std::mem::take(&mut self.left_out) }
    }

    /// How many lines were left out since the last one that passed.
    pub(super) const fn left_out(&self) -> u64 {
        self.left_out
    }
}

/// How long it takes until so many bytes may pass.
const fn time_for(bytes: u64) -> Duration {
    Duration::from_nanos(bytes.saturating_mul(1_000_000_000 / RATE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_no_more_than_the_rate() {
        let mut now = Instant::now();
        let mut allowance = Allowance::new(now);
        let mut passed = 0_u64;
        // A flood of two minutes: a line of 1 KiB each millisecond.
        for _ in 0..120_000 {
            if let Verdict::Pass { .. } = allowance.take(1024, now) {
                passed += 1024 + LINE;
            }
            now += Duration::from_millis(1);
        }
        assert!(passed > BURST + 100 * RATE, "{passed}");
        assert!(passed <= BURST + 121 * RATE, "{passed}");
    }

    #[test]
    fn what_is_left_out_is_counted_and_told_seldom() {
        let mut now = Instant::now();
        let mut allowance = Allowance::new(now);
        let (mut passed, mut told, mut firsts) = (0, 0, 0);
        for _ in 0..60_000 {
            match allowance.take(100, now) {
                Verdict::Pass { left_out } => {
                    passed += 1;
                    told += left_out;
                }
                Verdict::LeaveOut { first } => firsts += u32::from(first),
            }
            now += Duration::from_millis(1);
        }
        assert_eq!(passed + told + allowance.left_out(), 60_000);
        assert!((2..=8).contains(&firsts), "{firsts}");
    }

    #[test]
    fn an_ordinary_log_passes_whole() {
        let mut now = Instant::now();
        let mut allowance = Allowance::new(now);
        for _ in 0..3600 {
            for _ in 0..50 {
                assert_eq!(allowance.take(150, now), Verdict::Pass { left_out: 0 });
            }
            now += Duration::from_secs(1);
        }
    }

    #[test]
    fn a_line_of_any_length_passes_when_nothing_was_said_before() {
        let now = Instant::now();
        let mut allowance = Allowance::new(now);
        assert_eq!(allowance.take(usize::MAX, now), Verdict::Pass { left_out: 0 });
        let verdict = allowance.take(0, now + Duration::from_secs(3600));
        assert_eq!(verdict, Verdict::LeaveOut { first: true });
    }
}
