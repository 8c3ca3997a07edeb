//! Tools that cargo runs as `cargo NAME`.

use anyhow::Context;

use crate::run::{self, Run};
use crate::{say, workspace};

/// A tool, and the version that is installed when there is none.
#[derive(Debug)]
pub(crate) struct CargoTool {
    /// Its crate and program.
    pub(crate) name: &'static str,
    /// The version that this project was tried with.
    pub(crate) version: &'static str,
    /// What it is for.
    pub(crate) why: &'static str,
}

/// Runs tests.
pub(crate) const NEXTEST: CargoTool = CargoTool {
    name: "cargo-nextest",
    version: "0.9.143",
    why: "it runs each test in its own process, with a time limit",
};

/// Checks dependencies.
pub(crate) const DENY: CargoTool = CargoTool {
    name: "cargo-deny",
    version: "0.20.2",
    why: "it checks the licences and sources of dependencies",
};

impl CargoTool {
    /// Installs it when it is missing.
    pub(crate) fn ensure(&self) -> anyhow::Result<()> {
        let Self { name, version, why } = self;
        let subcommand = name.trim_start_matches("cargo-");
        if run::find(name).is_some()
            || Run::new(workspace::cargo()).args([subcommand, "--version"]).succeeds()
        {
            return Ok(());
        }
        say::step(format!("installs {name} {version} (cargo, takes minutes): {why}"));
        // A directory that one attempt after another can continue in, and that nothing else uses.
        let build_dir = workspace::root().join("target/tools");
        // Not optimised: building it so takes a third of the time, and a run of it a second more.
        Run::new(workspace::cargo())
            .args(["install", "--debug", "--locked", "--quiet", name, "--version", version])
            .arg("--target-dir")
            .arg(&build_dir)
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .show()?;
        fs_err::remove_dir_all(&build_dir).context("remove what building the tool left")
    }
}
