//! Waiting for something that cannot be subscribed to.

use std::thread;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(5);

/// Asks `condition` again and again until it gives a value, and returns that.
///
/// Blocks the thread. Use it only for what the outside shows, such as files and processes; what
/// has a future is awaited.
///
/// # Panics
/// When there is no value `within` that time; `what` completes the sentence "waited … until".
#[track_caller]
pub fn eventually<T>(within: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {within:?} until {what}, in vain");
        thread::sleep(INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_asks_until_there_is_a_value() {
        let mut count = 0;
        let value = eventually(Duration::from_secs(60), "the third question", || {
            count += 1;
            (count == 3).then_some("answer")
        });
        assert_eq!(value, "answer");
    }

    #[test]
    #[should_panic(expected = "until pigs fly, in vain")]
    fn it_says_what_it_waited_for() {
        eventually(Duration::ZERO, "pigs fly", || None::<()>);
    }
}
