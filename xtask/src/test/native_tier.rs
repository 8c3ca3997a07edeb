//! Tests with the real Firecracker on this machine's own KVM, however slow that is.

use super::tally::Tally;
use super::{TestFixtures, nextest};

pub(super) fn perform(fixtures: &TestFixtures) -> anyhow::Result<Tally> {
    let tests = ["--package", "smartvm-tests", "--test", "native", "--test", "network"];
    nextest::perform(&tests, &fixtures.variables()?)
}
