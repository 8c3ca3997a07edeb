//! Running tests with cargo-nextest: a process for each, with a time limit.

use std::ffi::{OsStr, OsString};

use anyhow::{Context, bail};

use super::slowest::{self, TestTime};
use super::tally::Tally;
use crate::run::{self, Run};
use crate::workspace;

/// The options of every run: all tests run, however many fail, and each is told with its time.
pub(super) const OPTIONS: [&str; 5] =
    ["--no-fail-fast", "--color", "never", "--status-level", "pass"];

/// What a run came to.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) tally: Tally,
    pub(super) times: Vec<TestTime>,
}

/// Builds and runs the tests that `selection` names.
pub(super) fn perform<A: AsRef<OsStr>>(
    selection: &[A],
    variables: &[(&str, OsString)],
    filters: &[String],
) -> anyhow::Result<Ran> {
    let mut run =
        Run::new(workspace::cargo()).args(["nextest", "run"]).args(selection).args(OPTIONS);
    run = run.args(filters);
    for (name, value) in variables {
        run = run.env(name, value);
    }
    let heard = run.hear()?;
    let how = run::ended(heard.status);
    judge(&heard.text, heard.status.success(), &how)
}

/// What a run came to. One that failed without a failed test, as in building, is an error.
pub(super) fn judge(output: &str, success: bool, how: &str) -> anyhow::Result<Ran> {
    let tally =
        Tally::of_nextest(output).with_context(|| format!("nextest {how} before any test"))?;
    if !success && tally.failed == 0 {
        bail!("nextest {how}, though no test failed");
    }
    Ok(Ran { tally, times: slowest::of_nextest(output) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_fails_without_failed_tests_is_an_error() {
        let output = "     Summary [   0.0s] 2 tests run: 2 passed, 0 skipped\n";
        judge(output, true, "exited with code 0").expect("all passed");
        judge(output, false, "exited with code 4").unwrap_err();
        judge("error: no tests to run", false, "exited with code 4").unwrap_err();
    }
}
