//! Tests with real Linux guests: here where KVM runs them, else in the lab.
//!
//! They are built here. In the lab, nextest runs what was built, knowing it from two files.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::Value;

use super::nextest::{self, Ran};
use super::tier::TestFixtures;
use crate::lab::{self, LabSize};
use crate::run::{self, Run};
use crate::{doctor, environment, say, workspace};

const SELECTION: [&str; 3] = ["--workspace", "--test", "lab"];
/// What nextest starts tests with. The lab emulates an x86_64 only.
const RUNNER: &str = "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER";
/// Minutes for all of them.
const DEADLINE: u64 = 70;

/// What stands before each line of a lab that runs beside other tiers.
pub(super) const PREFIX: &str = "lab| ";

/// A lab in which only the tests have to be run.
#[derive(Debug)]
pub(super) struct PreparedLab {
    argv: Vec<OsString>,
    variables: Vec<(&'static str, OsString)>,
    in_memory: Vec<PathBuf>,
}

/// Runs the tests, by themselves.
pub(super) fn perform(fixtures: &TestFixtures, filters: &[String]) -> anyhow::Result<Ran> {
    match prepare(fixtures, filters)? {
        Some(lab) => lab.run(""),
        None => nextest::perform(&SELECTION, &fixtures.variables()?, filters),
    }
}

/// Builds what runs in the lab. `None`: no lab is needed, as KVM runs Linux guests here.
pub(super) fn prepare(
    fixtures: &TestFixtures,
    filters: &[String],
) -> anyhow::Result<Option<PreparedLab>> {
    let mut variables = fixtures.variables()?;
    if doctor::can_run_linux_guests(&fixtures.dist)? {
        say::step("tier lab: KVM runs Linux guests here, so no lab is needed");
        return Ok(None);
    }
    let metadata = Metadata::write()?;
    let nextest = run::find("cargo-nextest").context("find cargo-nextest")?;
    let mut argv: Vec<OsString> = vec![nextest.into()];
    argv.extend(["nextest", "run", "--profile", "lab", "--workspace-remap"].map(OsString::from));
    argv.push(workspace::root().into());
    argv.extend(["--binaries-metadata".into(), metadata.binaries.into()]);
    argv.extend(["--cargo-metadata".into(), metadata.cargo.into()]);
    argv.extend(nextest::OPTIONS.map(OsString::from));
    argv.extend(filters.iter().map(OsString::from));
    let in_memory = in_memory(&argv[0], &metadata.tests, &variables);
    // What runs there may write to memory only.
    variables.push(("TMPDIR", "/dev/shm".into()));
    // Each wrong guess where a program is costs the lab some milliseconds, and tests start hundreds of them.
    variables.push(("PATH", system_first()?));
    // For libraries that no test of ours has, nextest sets a path on which every program that is started
    // looks for its own first: in the lab, `ip` takes four times as long with it.
    variables.push((RUNNER, "env -u LD_LIBRARY_PATH".into()));
    // Nextest starts each test by way of another process of itself, to be stopped by Ctrl-Z at any moment.
    variables.push(("NEXTEST_DOUBLE_SPAWN", "0".into()));
    Ok(Some(PreparedLab { argv, variables, in_memory }))
}

impl PreparedLab {
    /// Runs the tests, with `prefix` before each line that they say.
    pub(super) fn run(&self, prefix: &'static str) -> anyhow::Result<Ran> {
        let size = LabSize { deadline: DEADLINE, ..LabSize::default() };
        let ran = lab::command(&self.argv, &self.variables, &self.in_memory, &size, prefix)?;
        let how = format!("exited with code {}", ran.code);
        nextest::judge(&ran.output, ran.code == 0, &how)
    }
}

/// `PATH` with the directories of the programs that tests start in front.
fn system_first() -> anyhow::Result<OsString> {
    let given = environment::variable("PATH").unwrap_or_default();
    let system = ["/usr/bin", "/usr/sbin"].map(PathBuf::from);
    let others = std::env::split_paths(&given).filter(|dir| !system.contains(dir));
    let dirs: Vec<_> = system.iter().cloned().chain(others).collect();
    std::env::join_paths(dirs).context("put directories on PATH")
}

/// What each test reads: programs, and files of fixtures. A directory, as that of kernels, is none.
fn in_memory(nextest: &OsString, tests: &[PathBuf], fixtures: &[(&str, OsString)]) -> Vec<PathBuf> {
    let fixtures = fixtures.iter().map(|(_, value)| PathBuf::from(value));
    let all = tests.iter().cloned().chain([nextest.into()]).chain(fixtures);
    all.filter(|file| file.is_file()).collect()
}

/// What nextest needs to know to run tests without cargo.
struct Metadata {
    binaries: PathBuf,
    cargo: PathBuf,
    /// The programs that the tests are.
    tests: Vec<PathBuf>,
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
        let tests = programs_of(&list)?;
        fs_err::write(&binaries, list)?;
        let metadata = Run::new(workspace::cargo())
            .args(["metadata", "--format-version", "1", "--locked"])
            .read()?;
        fs_err::write(&cargo, metadata)?;
        Ok(Self { binaries, cargo, tests })
    }
}

/// The programs in a list of nextest.
fn programs_of(list: &str) -> anyhow::Result<Vec<PathBuf>> {
    let list: Value = serde_json::from_str(list).context("read nextest's list of tests")?;
    let binaries = list["rust-binaries"].as_object().context("find tests in nextest's list")?;
    let path = |binary: &Value| binary["binary-path"].as_str().map(PathBuf::from);
    binaries.values().map(path).collect::<Option<_>>().context("find programs in nextest's list")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_of_tests_are_found() {
        let list = r#"{"rust-binaries":{"a::b":{"binary-path":"/target/b-1","kind":"test"}}}"#;
        assert_eq!(programs_of(list).unwrap(), [PathBuf::from("/target/b-1")]);
        programs_of("{}").unwrap_err();
        programs_of(r#"{"rust-binaries":{"a::b":{}}}"#).unwrap_err();
    }
}
