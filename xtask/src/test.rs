//! `cargo xtask test`: every tier, what it covers and how many tests ran.
//!
//! | tier | runs | needs |
//! |---|---|---|
//! | unit | the tests of all crates, and the examples in their documentation | e2fsprogs, squashfs-tools |
//! | native | tests with the real Firecracker and tiny guests | a `/dev/kvm` that opens |
//! | lab | tests with real Linux guests | the lab, or a KVM that runs them natively |

mod lab_tier;
mod native_tier;
mod nextest;
pub(crate) mod programs;
mod tally;
mod unit_tier;

use std::process::ExitCode;
use std::time::Instant;

use self::tally::Tally;
use crate::cargo_tool::NEXTEST;
use crate::dist::{self, Dist};
use crate::fixtures::firecracker::{self, FirecrackerFixture};
use crate::fixtures::{self, GuestFixtures};
use crate::say;

/// Run the tests: all tiers, or those named
#[derive(Debug, clap::Args)]
pub(crate) struct TestArgs {
    tiers: Vec<Tier>,
}

/// A kind of tests by what they need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Tier {
    Unit,
    Native,
    Lab,
}

/// What tests with the real Firecracker need.
#[derive(Debug)]
struct TestFixtures {
    firecracker: FirecrackerFixture,
    guest: GuestFixtures,
    dist: Dist,
}

/// Runs tiers, all of them even when one fails.
pub(crate) fn test(args: &TestArgs) -> anyhow::Result<ExitCode> {
    NEXTEST.ensure()?;
    let all = [Tier::Unit, Tier::Native, Tier::Lab];
    let tiers = if args.tiers.is_empty() { &all[..] } else { &args.tiers };
    let mut lines = Vec::new();
    let mut total = Tally::default();
    let mut failed = false;
    for tier in tiers {
        let began = Instant::now();
        let (name, covers) = tier.describe();
        say::step(format!("tier {name}: {covers}"));
        let tally = match tier.perform() {
            Ok(tally) => tally,
            Err(error) => {
                say::error(&error.context(format!("tier {name} could not run")));
                failed = true;
                Tally::default()
            }
        };
        failed |= tally.failed > 0 || tally.passed == 0;
        total.add(tally);
        let seconds = began.elapsed().as_secs();
        lines.push(format!("tier {name}: covers {covers}: {tally} in {seconds} s"));
    }
    for line in lines {
        say::result(line);
    }
    say::result(format!("total: {total}"));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Tier {
    fn describe(self) -> (&'static str, &'static str) {
        match self {
            Self::Unit => ("unit", "each crate by itself"),
            Self::Native => ("native", "the real Firecracker with tiny guests"),
            Self::Lab => ("lab", "the real Firecracker with Linux guests"),
        }
    }

    fn perform(self) -> anyhow::Result<Tally> {
        match self {
            Self::Unit => unit_tier::perform(),
            Self::Native => native_tier::perform(&TestFixtures::ensure()?),
            Self::Lab => lab_tier::perform(&TestFixtures::ensure()?),
        }
    }
}

impl TestFixtures {
    fn ensure() -> anyhow::Result<Self> {
        programs::ensure_for_tests()?;
        Ok(Self {
            firecracker: firecracker::ensure_pinned()?,
            guest: fixtures::ensure_guest()?,
            dist: dist::for_tests()?,
        })
    }

    fn variables(&self) -> anyhow::Result<Vec<(&'static str, std::ffi::OsString)>> {
        fixtures::variables(&self.firecracker, &self.guest, &self.dist)
    }
}
