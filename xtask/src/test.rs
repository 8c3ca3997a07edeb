//! `cargo xtask test`: every tier, what it covers, how many tests ran and which took longest.
//!
//! | tier | runs | needs |
//! |---|---|---|
//! | unit | the tests of all crates, and the examples in their documentation | e2fsprogs, squashfs-tools |
//! | native | tests with the real Firecracker and tiny guests | a `/dev/kvm` that opens |
//! | lab | tests with real Linux guests | the lab, or a KVM that runs them natively |
//!
//! The emulated host of the lab keeps one processor busy at most, so the other tiers run beside it, and
//! yield to it: its guests stand still when they have to wait.

mod lab_tier;
mod native_tier;
mod nextest;
pub(crate) mod programs;
mod since;
mod slowest;
mod tally;
mod tier;
mod unit_tier;

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use self::lab_tier::PreparedLab;
use self::nextest::Ran;
use self::since::Touched;
use self::tally::Tally;
use self::tier::{TestFixtures, Tier};
use crate::cargo_tool::NEXTEST;
use crate::say;

/// How many of the slowest tests are named.
const SLOWEST: usize = 10;
/// How much the other tiers yield to a lab that runs beside them, in `nice`'s steps.
const YIELDING: i32 = 10;

/// Run the tests: all tiers, or those named
#[derive(Debug, clap::Args)]
pub(crate) struct TestArgs {
    tiers: Vec<Tier>,
    /// Run only what can be touched by what changed since a commit
    ///
    /// A change of a crate touches the tests of all crates that depend on it. What is not committed has
    /// changed as well.
    #[arg(long, value_name = "REV")]
    since: Option<String>,
    /// Run only tests with one of these in their names; other arguments are nextest's
    #[arg(last = true, value_name = "FILTER")]
    filters: Vec<String>,
}

/// How the run of a tier went.
struct TierRun {
    tier: Tier,
    took: Duration,
    ran: anyhow::Result<Ran>,
}

/// Runs tiers, all of them even when one fails.
pub(crate) fn test(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let touched = args.since.as_deref().map(Touched::since).transpose()?.unwrap_or_default();
    let asked = if args.tiers.is_empty() { &Tier::ALL[..] } else { &args.tiers };
    let (tiers, left_out): (Vec<_>, Vec<_>) =
        asked.iter().partition(|tier| touched.touches(**tier));
    for tier in left_out {
        say::step(format!("tier {tier}: nothing that it tests has changed"));
    }
    if tiers.is_empty() {
        say::result("no test is touched by what has changed");
        return Ok(ExitCode::SUCCESS);
    }
    NEXTEST.ensure()?;
    Ok(report(&run(&tiers, &touched, &args.filters)))
}

/// Runs the lab, where it is emulated, beside the other tiers.
fn run(tiers: &[Tier], touched: &Touched, filters: &[String]) -> Vec<TierRun> {
    let mut runs = Vec::new();
    let mut beside = None;
    let mut others = tiers.to_vec();
    if tiers.len() > 1 && tiers.contains(&Tier::Lab) {
        match TestFixtures::ensure().and_then(|fixtures| lab_tier::prepare(&fixtures, filters)) {
            Ok(Some(prepared)) => {
                beside = Some(prepared);
                others.retain(|tier| *tier != Tier::Lab);
            }
            Ok(None) => {}
            // The tier itself meets it again, and tells it at its turn.
            Err(error) => say::error(&error),
        }
    }
    thread::scope(|scope| {
        let beside = beside.map(|lab| scope.spawn(move || run_beside(&lab)));
        if beside.is_some() {
            yield_to_the_lab();
        }
        for tier in others {
            say::step(format!("tier {tier}: {}", tier.covers()));
            let began = Instant::now();
            let ran = tier.perform(touched, filters);
            if let Err(error) = &ran {
                say::error(
                    &anyhow::anyhow!("{error:#}").context(format!("tier {tier} could not run")),
                );
            }
            runs.push(TierRun { tier, took: began.elapsed(), ran });
        }
        if let Some(lab) = beside {
            runs.push(lab.join().expect("a run reports its errors and does not panic"));
        }
    });
    runs
}

fn run_beside(lab: &PreparedLab) -> TierRun {
    let tier = Tier::Lab;
    say::step(format!("tier {tier}: {}, beside the others", tier.covers()));
    let began = Instant::now();
    let ran = lab.run(lab_tier::PREFIX);
    if let Err(error) = &ran {
        say::error(&anyhow::anyhow!("{error:#}").context(format!("tier {tier} could not run")));
    }
    TierRun { tier, took: began.elapsed(), ran }
}

/// Lowers the priority of this thread, and so of what it starts from here on.
fn yield_to_the_lab() {
    if let Err(error) = rustix::process::nice(YIELDING).context("yield to the lab") {
        say::error(&error);
    }
}

fn report(runs: &[TierRun]) -> ExitCode {
    let mut total = Tally::default();
    let mut failed = false;
    let times = runs.iter().filter_map(|run| run.ran.as_ref().ok()).flat_map(|ran| &ran.times);
    for line in slowest::of(times.cloned().collect(), SLOWEST) {
        say::result(line);
    }
    for TierRun { tier, took, ran } in runs {
        let tally = ran.as_ref().map_or_else(|_| Tally::default(), |ran| ran.tally);
        failed |= ran.is_err() || tally.failed > 0 || tally.passed == 0;
        total.add(tally);
        let (covers, seconds) = (tier.covers(), took.as_secs());
        say::result(format!("tier {tier}: covers {covers}: {tally} in {seconds} s"));
    }
    say::result(format!("total: {total}"));
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
