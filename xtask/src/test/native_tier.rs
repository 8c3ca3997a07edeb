//! Tests with the real Firecracker on this machine's own KVM, however slow that is.

use super::tally::Tally;
use super::{TestFixtures, nextest};
use crate::apt;

pub(super) fn perform(fixtures: &TestFixtures) -> anyhow::Result<Tally> {
    let why = "the tests of networks ask it what the kernel has, and what a guest reaches";
    apt::ensure_program("nft", "nftables", why)?;
    apt::ensure_program("iptables-nft", "iptables", "networks are tested beside Docker's rules")?;
    apt::ensure_program("ping", "iputils-ping", why)?;
    let tests = ["--package", "smartvm-tests", "--test", "native", "--test", "network"];
    nextest::perform(&tests, &fixtures.variables()?)
}
