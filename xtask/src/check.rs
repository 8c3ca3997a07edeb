//! `cargo xtask check`: what must hold of the source before tests are worth running.

mod deny;
mod file_sizes;

use std::process::ExitCode;

use crate::run::Run;
use crate::{say, workspace};

type Check = (&'static str, fn() -> anyhow::Result<()>);

const CHECKS: [Check; 5] = [
    ("formatting", formatting),
    ("lints", lints),
    ("documentation", documentation),
    ("dependencies", deny::check),
    ("file sizes", file_sizes::check),
];

/// Runs all checks, and then names those that failed.
pub(crate) fn check() -> anyhow::Result<ExitCode> {
    let mut failed = Vec::new();
    for (name, check) in CHECKS {
        say::step(format!("checks {name}"));
        if let Err(error) = check() {
            say::error(&error.context(format!("check of {name} failed")));
            failed.push(name);
        }
    }
    if failed.is_empty() {
        say::result(format!("all {} checks passed", CHECKS.len()));
        return Ok(ExitCode::SUCCESS);
    }
    say::result(format!(
        "{} of {} checks failed: {}",
        failed.len(),
        CHECKS.len(),
        failed.join(", ")
    ));
    Ok(ExitCode::FAILURE)
}

fn formatting() -> anyhow::Result<()> {
    Run::new(workspace::cargo()).args(["fmt", "--all", "--check"]).show()
}

fn lints() -> anyhow::Result<()> {
    Run::new(workspace::cargo())
        .args(["clippy", "--quiet", "--locked", "--workspace", "--all-targets"])
        .args(["--", "--deny", "warnings"])
        .show()
}

fn documentation() -> anyhow::Result<()> {
    Run::new(workspace::cargo())
        .args([
            "doc",
            "--quiet",
            "--locked",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ])
        .env("RUSTDOCFLAGS", "--deny warnings")
        .show()
}
