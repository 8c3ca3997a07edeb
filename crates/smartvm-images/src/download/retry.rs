//! When a failed request is tried again.

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use super::download_error::DownloadError;

/// The longest pause, also when the server asks for a longer one.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// More requests than this for one file are too many, even if each brings something.
const MAX_REQUESTS: u32 = 200;

/// Counts tries. Those that brought bytes do not count as failed.
#[derive(Debug)]
pub(super) struct Retry {
    /// How many tries in a row may bring nothing.
    tries: u32,
    first_pause: Duration,
    failed: u32,
    requests: u32,
    reached: u64,
}

impl Retry {
    pub(super) fn new(tries: u32, first_pause: Duration) -> Self {
        Self { tries, first_pause, failed: 0, requests: 0, reached: 0 }
    }

    /// How long to wait before the next try, none when there is to be none. `done` bytes are there.
    pub(super) fn after(&mut self, error: &DownloadError, done: u64) -> Option<Duration> {
        if !error.may_pass() {
            return None;
        }
        self.requests += 1;
        if done > self.reached {
            self.reached = done;
            self.failed = 0;
        }
        self.failed += 1;
        if self.failed >= self.tries || self.requests >= MAX_REQUESTS {
            return None;
        }
        let pause = self.first_pause.saturating_mul(1 << (self.failed - 1).min(16)).min(MAX_PAUSE);
        let asked = match error {
            DownloadError::Status { retry_after: Some(seconds), .. } => {
                Duration::from_secs(*seconds)
            }
            _ => Duration::ZERO,
        };
        Some(pause.mul_f64(jitter()).max(asked.min(MAX_PAUSE)))
    }
}

/// 0.75 to 1.25: many that failed together should not come back together.
fn jitter() -> f64 {
    let random = std::hash::RandomState::new().build_hasher().finish();
    0.75 + 0.5 * f64::from((random >> 32) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, retry_after: Option<u64>) -> DownloadError {
        DownloadError::Status { url: String::new(), status, retry_after }
    }

    #[test]
    fn pauses_grow_and_end() {
        let mut retry = Retry::new(4, Duration::from_millis(100));
        let pauses: Vec<_> = (0..3).map(|_| retry.after(&status(503, None), 0).unwrap()).collect();
        for (pause, expected) in pauses.iter().zip([100, 200, 400]) {
            let range = expected * 3 / 4..=expected * 5 / 4;
            assert!(range.contains(&pause.as_millis()), "{pauses:?}");
        }
        assert_eq!(retry.after(&status(503, None), 0), None);
    }

    #[test]
    fn what_will_not_pass_is_not_tried_again() {
        let mut retry = Retry::new(4, Duration::from_millis(100));
        assert_eq!(retry.after(&status(404, None), 0), None);
        assert_eq!(retry.after(&status(403, None), 0), None);
    }

    #[test]
    fn a_try_that_brought_bytes_has_not_failed_but_there_is_an_end() {
        let mut retry = Retry::new(2, Duration::from_millis(1));
        let tries = (1..).take_while(|&done| retry.after(&status(500, None), done).is_some());
        assert_eq!(tries.count(), MAX_REQUESTS as usize - 1);
    }

    #[test]
    fn the_servers_own_pause_is_kept_within_reason() {
        let mut retry = Retry::new(4, Duration::from_millis(1));
        assert_eq!(retry.after(&status(429, Some(3)), 0), Some(Duration::from_secs(3)));
        assert_eq!(retry.after(&status(429, Some(9999)), 0), Some(MAX_PAUSE));
    }
}
