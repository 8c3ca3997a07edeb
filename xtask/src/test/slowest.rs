//! Which tests took longest, read from what nextest says of each.

/// A test and how long it took.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TestTime {
    pub(super) seconds: f64,
    pub(super) test: String,
}

/// From each `        PASS [   1.234s] (1/9) crate::binary test`, and those that failed.
pub(super) fn of_nextest(output: &str) -> Vec<TestTime> {
    output.lines().filter_map(of_line).collect()
}

fn of_line(line: &str) -> Option<TestTime> {
    let (word, rest) = line.trim_start().split_once(" [")?;
    // `TRY 1 FAIL` is told again as `TRY 2 PASS`, and failures once more in the end, without a number.
    if !["PASS", "FAIL", "LEAK", "TIMEOUT"].contains(&word.rsplit(' ').next()?) {
        return None;
    }
    let (seconds, rest) = rest.split_once("s] ")?;
    let (_, test) = rest.trim_start().strip_prefix('(')?.split_once(") ")?;
    Some(TestTime { seconds: seconds.trim().parse().ok()?, test: test.trim().to_owned() })
}

/// Lines that name the slowest, the slowest first.
pub(super) fn of(mut times: Vec<TestTime>, count: usize) -> Vec<String> {
    times.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    times.truncate(count);
    times.iter().map(|time| format!("{:8.1} s  {}", time.seconds, time.test)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_test_that_nextest_ran_has_its_time() {
        let output = "\
            \u{20}       SLOW [> 30.000s] smartvm-tests::lab boot\n\
            \u{20}       PASS [  43.500s] ( 1/38) smartvm-tests::lab boot\n\
            \u{20} TRY 1 FAIL [   1.000s] (─────) smartvm-tests::lab flaky\n\
            \u{20} TRY 2 PASS [   2.000s] ( 2/38) smartvm-tests::lab flaky\n\
            \u{20}       FAIL [   0.008s] (38/38) smartvm vm_id::tests::one\n\
            \u{20}    Summary [  43.6s] 3 tests run: 2 passed (1 slow, 1 flaky), 1 failed, 0 skipped\n\
            \u{20}       FAIL [   0.008s] (38/38) smartvm vm_id::tests::one\n";
        let told = of(of_nextest(output), 2);
        assert_eq!(
            told,
            ["    43.5 s  smartvm-tests::lab boot", "     2.0 s  smartvm-tests::lab flaky"]
        );
    }
}
