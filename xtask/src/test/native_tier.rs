//! Tests with the real Firecracker on this machine's own KVM, however slow that is.

use super::nextest::{self, Ran};
use super::tier::TestFixtures;
use crate::fixtures::firewalls;
use crate::{apt, environment};

/// Names a Firecracker for the tests that need a newer one than the fixture.
const NEWER: &str = "SMARTVM_NEWER_FIRECRACKER";

pub(super) fn perform(fixtures: &TestFixtures, filters: &[String]) -> anyhow::Result<Ran> {
    let why = "the tests of networks ask it what the kernel has, and what a guest reaches";
    apt::ensure_program("nft", "nftables", why)?;
    apt::ensure_program("iptables-nft", "iptables", "networks are tested beside Docker's rules")?;
    apt::ensure_program("ping", "iputils-ping", why)?;
    let mut variables = fixtures.variables()?;
    variables.push(("SMARTVM_FIREWALLS", firewalls::ensure()?.into()));
    // Of the workspace, as in every build of tests: with other features nothing built would be shared.
    let tests = ["--workspace", "--test", "native", "--test", "network", "--test", "agent"];
    let mut ran = nextest::perform(&tests, &variables, filters)?;
    if environment::variable(NEWER).is_some() {
        let newer = ["--run-ignored", "only", "--no-tests", "pass"];
        let tests = [&tests[..], &newer, &["--filterset", "test(newer_firecracker)"]].concat();
        let again = nextest::perform(&tests, &variables, filters)?;
        ran.tally.add(again.tally);
        ran.times.extend(again.times);
    }
    Ok(ran)
}
