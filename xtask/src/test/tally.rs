//! How many tests ran, read from the closing lines of those who ran them.

use std::fmt;

/// Counts of tests.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
    /// Of those that passed: at their second try only.
    pub(super) flaky: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.flaky += other.flaky;
    }

    /// From nextest's ` Summary [ 0.1s] 3 tests run: 1 passed (1 slow), 1 failed, 1 timed out, 4
    /// skipped`. None when it did not come that far.
    pub(super) fn of_nextest(output: &str) -> Option<Self> {
        let summary = output.lines().rev().find(|line| line.trim().starts_with("Summary ["))?;
        let (_, counts) = summary.split_once(" run: ")?;
        let mut tally = Self::default();
        for part in counts.split(", ") {
            // `2 passed (1 slow, 1 flaky)` is split too; of the brackets only one word says something new.
            if let Some((_, within)) = part.split_once('(') {
                tally.flaky += flaky(within);
            }
            tally.flaky += flaky(part);
            let (count, what) = part.trim().split_once(' ')?;
            let Ok(count) = count.parse::<u64>() else { continue };
            match what.split([' ', '(']).next() {
                Some("passed") => tally.passed += count,
                Some("failed" | "timed" | "exec") => tally.failed += count,
                _ => {}
            }
        }
        Some(tally)
    }

    /// From every `test result: ok. 3 passed; 0 failed; …` of `cargo test`.
    pub(super) fn of_libtest(output: &str) -> Self {
        let mut tally = Self::default();
        for line in output.lines().filter_map(|line| line.strip_prefix("test result: ")) {
            for part in line.split(['.', ';']) {
                match part.trim().split_once(' ') {
                    Some((count, "passed")) => tally.passed += count.parse().unwrap_or(0),
                    Some((count, "failed")) => tally.failed += count.parse().unwrap_or(0),
                    _ => {}
                }
            }
        }
        tally
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed", self.passed)?;
        if self.flaky > 0 {
            write!(f, " ({} of them at the second try)", self.flaky)?;
        }
        write!(f, ", {} failed", self.failed)
    }
}

/// The number in `1 flaky`, with or without a bracket behind it.
fn flaky(part: &str) -> u64 {
    let count = part.trim().trim_end_matches(')').strip_suffix(" flaky");
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nextest(counts: &str) -> Option<Tally> {
        Tally::of_nextest(&format!("noise\n     Summary [   0.005s] {counts}\n  FAIL x\n"))
    }

    #[test]
    fn the_summary_of_nextest_is_read() {
        let tally = |passed, failed| Some(Tally { passed, failed, flaky: 0 });
        assert_eq!(nextest("5 tests run: 5 passed, 0 skipped"), tally(5, 0));
        assert_eq!(nextest("1 test run: 1 passed, 0 skipped"), tally(1, 0));
        assert_eq!(nextest("3/9 tests run: 1 passed (1 slow), 2 failed, 0 skipped"), tally(1, 2));
        assert_eq!(
            nextest(
                "4 tests run: 1 passed (1 leaky, 1 slow), 1 failed, 1 timed out, 1 exec failed, 9 skipped"
            ),
            tally(1, 3)
        );
        let flaky = |passed, flaky| Some(Tally { passed, failed: 0, flaky });
        assert_eq!(nextest("9 tests run: 9 passed (2 slow, 1 flaky), 0 skipped"), flaky(9, 1));
        assert_eq!(nextest("9 tests run: 9 passed (2 flaky), 0 skipped"), flaky(9, 2));
        assert_eq!(Tally::of_nextest("error: could not compile"), None);
    }

    #[test]
    fn all_results_of_libtest_are_added() {
        let output = "test result: ok. 3 passed; 0 failed; 1 ignored; finished in 0.10s\n\
                      test result: FAILED. 1 passed; 2 failed; 0 ignored\n";
        assert_eq!(Tally::of_libtest(output), Tally { passed: 4, failed: 2, flaky: 0 });
    }

    #[test]
    fn it_reads_as_other_test_runners_close() {
        let tally = Tally { passed: 4, failed: 2, flaky: 0 };
        assert_eq!(tally.to_string(), "4 passed, 2 failed");
        let tally = Tally { flaky: 1, ..tally };
        assert_eq!(tally.to_string(), "4 passed (1 of them at the second try), 2 failed");
    }
}
