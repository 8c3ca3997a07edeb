//! The tiers, and what tests with the real Firecracker need.

use std::fmt;

use super::nextest::Ran;
use super::since::Touched;
use super::{lab_tier, native_tier, programs, unit_tier};
use crate::dist::{self, Dist};
use crate::fixtures::firecracker::{self, FirecrackerFixture};
use crate::fixtures::{self, GuestFixtures};

/// A kind of tests by what they need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Tier {
    Unit,
    Native,
    Lab,
}

impl Tier {
    pub(super) const ALL: [Self; 3] = [Self::Unit, Self::Native, Self::Lab];

    pub(super) fn covers(self) -> &'static str {
        match self {
            Self::Unit => "each crate by itself",
            Self::Native => "the real Firecracker with tiny guests",
            Self::Lab => "the real Firecracker with Linux guests",
        }
    }

    pub(super) fn perform(self, touched: &Touched, filters: &[String]) -> anyhow::Result<Ran> {
        match self {
            Self::Unit => unit_tier::perform(touched, filters),
            Self::Native => native_tier::perform(&TestFixtures::ensure()?, filters),
            Self::Lab => lab_tier::perform(&TestFixtures::ensure()?, filters),
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unit => "unit",
            Self::Native => "native",
            Self::Lab => "lab",
        })
    }
}

/// What tests with the real Firecracker need.
#[derive(Debug)]
pub(super) struct TestFixtures {
    pub(super) firecracker: FirecrackerFixture,
    pub(super) guest: GuestFixtures,
    pub(super) dist: Dist,
}

impl TestFixtures {
    pub(super) fn ensure() -> anyhow::Result<Self> {
        programs::ensure_for_tests()?;
        Ok(Self {
            firecracker: firecracker::ensure_pinned()?,
            guest: fixtures::ensure_guest()?,
            dist: dist::for_tests()?,
        })
    }

    pub(super) fn variables(&self) -> anyhow::Result<Vec<(&'static str, std::ffi::OsString)>> {
        fixtures::variables(&self.firecracker, &self.guest, &self.dist)
    }
}
