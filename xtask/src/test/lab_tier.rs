//! Tests with real Linux guests: here where KVM runs them, else in the lab.
//!
//! They are built here. In the lab, nextest runs what was built, knowing it from two files.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Context;

use super::TestFixtures;
use super::nextest;
use super::tally::Tally;
use crate::lab::{self, LabSize};
use crate::run::{self, Run};
use crate::{doctor, say, workspace};

const SELECTION: [&str; 4] = ["--package", "smartvm-tests", "--test", "lab"];
/// Minutes for all of them.
const DEADLINE: u64 = 70;

pub(super) fn perform(fixtures: &TestFixtures) -> anyhow::Result<Tally> {
    let mut variables = fixtures.variables()?;
    if doctor::can_run_linux_guests(&fixtures.dist)? {
        say::step("tier lab: KVM runs Linux guests here, so no lab is needed");
        return nextest::perform(&SELECTION, &variables);
    }
    let metadata = Metadata::write()?;
    let nextest = run::find("cargo-nextest").context("find cargo-nextest")?;
    let mut argv: Vec<OsString> = vec![nextest.into()];
    argv.extend(["nextest", "run", "--profile", "lab", "--workspace-remap"].map(OsString::from));
    argv.push(workspace::root().into());
    argv.extend(["--binaries-metadata".into(), metadata.binaries.into()]);
    argv.extend(["--cargo-metadata".into(), metadata.cargo.into()]);
    argv.extend(nextest::OPTIONS.map(OsString::from));
    // What runs there may write to memory only.
    variables.push(("TMPDIR", "/dev/shm".into()));
    let ran =
        lab::command(&argv, &variables, &LabSize { deadline: DEADLINE, ..LabSize::default() })?;
    let how = format!("exited with code {}", ran.code);
    nextest::judge(&ran.output, ran.code == 0, &how)
}

/// What nextest needs to know to run tests without cargo.
struct Metadata {
    binaries: PathBuf,
    cargo: PathBuf,
}

impl Metadata {
    /// Builds the tests and writes down where they are.
    fn write() -> anyhow::Result<Self> {
        let dir = lab::results_dir()?;
        let binaries = dir.join("binaries.json");
        let cargo = dir.join("cargo.json");
        let list = Run::new(workspace::cargo())
            .args(["nextest", "list", "--list-type", "binaries-only", "--message-format", "json"])
            .args(SELECTION)
            .read()?;
        fs_err::write(&binaries, list)?;
        let metadata = Run::new(workspace::cargo())
            .args(["metadata", "--format-version", "1", "--locked"])
            .read()?;
        fs_err::write(&cargo, metadata)?;
        Ok(Self { binaries, cargo })
    }
}
