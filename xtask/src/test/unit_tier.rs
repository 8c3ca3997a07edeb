//! Tests of single crates, and the examples in their documentation.

use anyhow::bail;

use super::nextest::Ran;
use super::since::Touched;
use super::tally::Tally;
use super::{nextest, programs};
use crate::run::{self, Run};
use crate::workspace;

pub(super) fn perform(touched: &Touched, filters: &[String]) -> anyhow::Result<Ran> {
    programs::ensure_for_library()?;
    // Of the workspace, as in every build of tests: with other features nothing built would be shared.
    let selection = ["--workspace", "--filterset", &touched.filterset()];
    let mut ran = nextest::perform(&selection, &[], filters)?;
    let packages = touched.with_examples()?;
    if packages.is_empty() {
        return Ok(ran);
    }
    let heard =
        Run::new(workspace::cargo()).args(["test", "--quiet", "--doc"]).args(packages).hear()?;
    let examples = Tally::of_libtest(&heard.text);
    if !heard.status.success() && examples.failed == 0 {
        bail!("the examples in the documentation: cargo {}", run::ended(heard.status));
    }
    ran.tally.add(examples);
    Ok(ran)
}
