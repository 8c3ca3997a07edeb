//! Tests of single crates, and the examples in their documentation.

use anyhow::bail;

use super::tally::Tally;
use super::{nextest, programs};
use crate::run::{self, Run};
use crate::workspace;

pub(super) fn perform() -> anyhow::Result<Tally> {
    programs::ensure_for_library()?;
    let mut tally = nextest::perform(&[], &[])?;
    let heard = Run::new(workspace::cargo()).args(["test", "--quiet", "--doc"]).hear()?;
    let examples = Tally::of_libtest(&heard.text);
    if !heard.status.success() && examples.failed == 0 {
        bail!("the examples in the documentation: cargo {}", run::ended(heard.status));
    }
    tally.add(examples);
    Ok(tally)
}
