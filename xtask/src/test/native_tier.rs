//! Tests with the real Firecracker on this machine's own KVM, however slow that is.

use super::tally::Tally;
use super::{TestFixtures, nextest};

pub(super) fn perform(fixtures: &TestFixtures) -> anyhow::Result<Tally> {
    nextest::perform(&["--package", "smartvm-tests", "--test", "native"], &fixtures.variables()?)
}
