//! `cargo xtask dist`: the command, and the program that becomes the guest's init.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::run::Run;
use crate::{say, workspace};

/// What was built.
#[derive(Debug)]
pub(crate) struct Dist {
    /// `smartvm`.
    pub(crate) smartvm: PathBuf,
    /// `smartvm-agent`, static, beside it.
    pub(crate) agent: PathBuf,
}

/// Builds both as users get them.
pub(crate) fn dist() -> anyhow::Result<Dist> {
    say::step("builds smartvm and its guest agent");
    build(&["--release", "--package", "smartvm-cli"])?;
    let dir = workspace::target_dir().join("release");
    // Beside the command, which looks for it there.
    place_agent(&dir, dir.join("smartvm-agent"))
}

/// Builds both with the command unoptimised, as tests do with everything else, and the tests that run it.
///
/// Those tests are named here so that cargo sees the very dependencies, with the very features, that it
/// sees when it builds all tests: nothing is built twice.
pub(crate) fn for_tests() -> anyhow::Result<Dist> {
    say::step("builds smartvm for tests, and its guest agent");
    let tests = ["--test", "agent", "--test", "native", "--test", "network", "--test", "lab"];
    build(&[&["--workspace", "--bin", "smartvm"][..], &tests].concat())?;
    let dir = workspace::target_dir().join("debug");
    // Cargo has another `smartvm-agent` beside the command, which looks for it there first.
    place_agent(&dir, dir.join("guest").join("smartvm-agent"))
}

fn build(what: &[&str]) -> anyhow::Result<()> {
    Run::new(workspace::cargo()).args(["build", "--quiet", "--locked"]).args(what).show()
}

fn place_agent(dir: &Path, agent: PathBuf) -> anyhow::Result<Dist> {
    fs_err::create_dir_all(agent.parent().expect("it is in a directory"))?;
    fs_err::copy(build_agent()?, &agent)?;
    Ok(Dist { smartvm: dir.join("smartvm"), agent })
}

/// Builds the agent, which has no library to load in the guest.
fn build_agent() -> anyhow::Result<PathBuf> {
    // A target directory of its own: with other flags in the same one, the two builds would undo
    // each other. A target triple, so that build scripts do not get those flags.
    let target_dir = workspace::target_dir().join("guest-target");
    let triple = host_triple()?;
    Run::new(workspace::cargo())
        .args(["build", "--quiet", "--locked", "--profile", "guest", "--package", "smartvm-agent"])
        .args(["--target", &triple, "--target-dir"])
        .arg(&target_dir)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .show()?;
    Ok(target_dir.join(triple).join("guest/smartvm-agent"))
}

fn host_triple() -> anyhow::Result<String> {
    let version = Run::new("rustc").arg("-vV").read()?;
    let triple = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(triple.context("find the host in what `rustc -vV` says")?.to_owned())
}
