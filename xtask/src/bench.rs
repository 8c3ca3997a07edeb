//! `cargo xtask bench`: measurements against the real Firecracker.

use std::process::ExitCode;

use crate::run::Run;
use crate::{fixtures, test, workspace};

/// Measure what the specification promises, beside its floor
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// Which, such as `start` or `memory` [default: all]
    names: Vec<String>,
}

/// Builds the benchmarks and runs them with the fixtures.
pub(crate) fn bench(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    let firecracker = fixtures::firecracker::ensure_pinned()?;
    test::programs::ensure_for_tests()?;
    Run::new(workspace::cargo())
        .args(["run", "--quiet", "--release", "--package", "smartvm-bench", "--"])
        .args(&args.names)
        .env("SMARTVM_FIRECRACKER", firecracker.firecracker)
        .show()?;
    Ok(ExitCode::SUCCESS)
}
