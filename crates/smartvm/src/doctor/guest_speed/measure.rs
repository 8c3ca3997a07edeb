//! Running the guest for long enough to tell its speed, and no longer.

use std::cmp::Ordering;
use std::ffi::CStr;
use std::io;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use kvm_ioctls::Kvm;

use super::kick::Kick;
use super::machine::{self, INSTRUCTIONS_PER_ROUND, Processor};

/// A run as long as this hides the cost of entering and leaving the guest.
const CONCLUSIVE: Duration = Duration::from_millis(20);

/// The best of as many counts: a busy host takes the processor away in some of them.
const CONCLUSIVE_RUNS: u32 = 3;

/// A length that even a guest at 1 million instructions a second passes in 10 ms.
const FIRST_ROUNDS: u64 = 5_000;

/// How much longer one run may be than the one before, which may have been mostly start-up.
const MAX_GROWTH: u64 = 16;

/// How long KVM may take to heed the signal that ends a guest.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// What the fastest run of the guest showed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct GuestSpeed {
    pub(super) instructions: u64,
    pub(super) took: Duration,
}

impl GuestSpeed {
    pub(super) fn instructions_per_second(self) -> u64 {
        let per_second =
            u128::from(self.instructions) * 1_000_000_000 / self.took.as_nanos().max(1);
        u64::try_from(per_second).unwrap_or(u64::MAX)
    }

    fn compare(&self, other: &Self) -> Ordering {
        self.instructions_per_second().cmp(&other.instructions_per_second())
    }
}

/// The guest did not run.
#[derive(Debug, thiserror::Error)]
pub(super) enum MeasureError {
    #[error("failed to {step}")]
    Setup {
        step: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("the guest ended with {exit} instead of halting")]
    UnexpectedExit { exit: String },
    #[error("the guest did not return within {budget:?}")]
    Stuck { budget: Duration },
}

/// Runs a guest in longer and longer runs until some are conclusive or `budget` is used up.
///
/// The guest runs on a thread of its own. One that does not return is ended by a signal to that
/// thread; if KVM does not heed even that, the thread is left behind with what the guest needs.
pub(super) fn measure(device: &CStr, budget: Duration) -> Result<GuestSpeed, MeasureError> {
    let setup = |step| move |source| MeasureError::Setup { step, source };
    let kvm = Kvm::new_with_path(device).map_err(|error| {
        setup("open the KVM device")(io::Error::from_raw_os_error(error.errno()))
    })?;
    let mut processor = machine::build(&kvm)?;
    let deadline = Instant::now() + budget;
    let kick = Arc::new(Kick::default());
    let (report, reports) = mpsc::channel();
    let run = {
        let kick = Arc::clone(&kick);
        // A report cannot be delivered when nobody waits any more, which changes nothing.
        move || {
            let admitted = processor.listen_to(&kick);
            let result = admitted.and_then(|()| run_until(&mut processor, deadline, &kick));
            drop(processor);
            let _ = report.send(result);
        }
    };
    let runner = thread::Builder::new()
        .name("guest-speed".to_owned())
        .spawn(run)
        .map_err(setup("start a thread for the guest"))?;
    let result = reports.recv_timeout(budget).or_else(|_| {
        kick.give(&runner);
        reports.recv_timeout(STOP_PATIENCE)
    });
    if result.is_ok() {
        // It has nothing left to do; a panic would have left no result.
        let _ = runner.join();
    }
    match result {
        Ok(Ok(Some(speed))) => Ok(speed),
        Ok(Err(error)) => Err(error),
        Ok(Ok(None)) | Err(_) => Err(MeasureError::Stuck { budget }),
    }
}

/// Lengthens the run until it is conclusive, and repeats it; near the deadline the best so far
/// has to do.
///
/// Nothing when the first run did not end by itself.
fn run_until(
    processor: &mut Processor,
    deadline: Instant,
    kick: &Kick,
) -> Result<Option<GuestSpeed>, MeasureError> {
    let mut best: Option<GuestSpeed> = None;
    let (mut rounds, mut conclusive) = (FIRST_ROUNDS, 0);
    loop {
        let Some(took) = processor.run(rounds, kick)? else { return Ok(best) };
        let speed = GuestSpeed { instructions: rounds * INSTRUCTIONS_PER_ROUND, took };
        let counts = is_conclusive(speed, best);
        best = best.into_iter().chain([speed]).max_by(GuestSpeed::compare);
        conclusive += u32::from(counts);
        if conclusive == CONCLUSIVE_RUNS || Instant::now() + took * 2 >= deadline {
            return Ok(best);
        }
        if !counts {
            rounds *= growth(took);
        }
    }
}

/// Whether it ran for long enough, and warm: the first run faults its memory in, which takes a
/// slow host longer than the run itself.
fn is_conclusive(speed: GuestSpeed, best_before: Option<GuestSpeed>) -> bool {
    let rate = speed.instructions_per_second();
    speed.took >= CONCLUSIVE
        && best_before.is_some_and(|best| best.instructions_per_second() >= rate / 2)
}

/// By how much to lengthen a run that took this long to make it conclusive.
fn growth(took: Duration) -> u64 {
    let wanted = CONCLUSIVE * 3 / 2;
    let factor = wanted.as_nanos() / took.as_nanos().max(1);
    u64::try_from(factor).unwrap_or(MAX_GROWTH).clamp(2, MAX_GROWTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_run_grows_in_bounded_steps() {
        assert_eq!(growth(Duration::ZERO), MAX_GROWTH);
        assert_eq!(growth(Duration::from_micros(10)), MAX_GROWTH);
        assert_eq!(growth(Duration::from_millis(10)), 3);
        assert_eq!(growth(Duration::from_millis(19)), 2);
    }

    #[test]
    fn speed_is_instructions_by_time() {
        let speed = GuestSpeed { instructions: 3_000_000, took: Duration::from_millis(20) };
        assert_eq!(speed.instructions_per_second(), 150_000_000);
    }

    #[test]
    fn a_first_run_and_one_much_faster_than_all_before_are_only_warming_up() {
        let took = Duration::from_millis(30);
        let (slow, fast) =
            (GuestSpeed { instructions: 10_000, took }, GuestSpeed { instructions: 21_000, took });
        assert!(!is_conclusive(slow, None));
        assert!(!is_conclusive(fast, Some(slow)));
        assert!(is_conclusive(fast, Some(fast)));
        assert!(!is_conclusive(GuestSpeed { took: Duration::from_millis(1), ..slow }, Some(fast)));
    }

    #[test]
    fn a_missing_device_is_named_as_the_step_that_failed() {
        let error = measure(c"/nonexistent/kvm", Duration::from_secs(1)).unwrap_err();
        assert_eq!(error.to_string(), "failed to open the KVM device");
    }
}
