//! `cargo xtask dist`: the command, and the program that becomes the guest's init.

use std::path::PathBuf;

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
    build(&["--release"], "release")
}

/// Builds both with the command unoptimised, as tests do with everything else.
pub(crate) fn for_tests() -> anyhow::Result<Dist> {
    say::step("builds smartvm for tests, and its guest agent");
    build(&[], "debug")
}

fn build(profile: &[&str], dir: &str) -> anyhow::Result<Dist> {
    Run::new(workspace::cargo())
        .args(["build", "--quiet", "--locked", "--package", "smartvm-cli"])
        .args(profile)
        .show()?;
    let dir = workspace::target_dir().join(dir);
    // Beside the command, which looks for it there. In `debug`, cargo has another of that name.
    let agent = dir.join("guest").join("smartvm-agent");
    let agent = if profile.is_empty() { agent } else { dir.join("smartvm-agent") };
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
