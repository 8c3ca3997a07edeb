//! Debian and Ubuntu packages: installed when a program is missing, or only unpacked.

use std::path::Path;
use std::sync::Once;

use anyhow::{Context, bail};

use crate::run::{self, Run};
use crate::say;

/// Makes sure of a program, installing the package that has it when it is missing.
pub(crate) fn ensure_program(program: &str, package: &str, why: &str) -> anyhow::Result<()> {
    if run::find(program).is_some() {
        return Ok(());
    }
    install(&[package], why)?;
    if run::find(program).is_none() {
        bail!("the package {package} did not bring `{program}`");
    }
    Ok(())
}

/// Installs packages.
///
/// # Errors
/// Not root, or apt's own failure with its last lines.
pub(crate) fn install(packages: &[&str], why: &str) -> anyhow::Result<()> {
    say::step(format!("installs {} (apt): {why}", packages.join(", ")));
    must_be_root(packages)?;
    let attempt = || {
        apt_get(&[]).args(["install", "--yes", "--no-install-recommends"]).args(packages).quietly()
    };
    // A fresh machine has no package lists, an old one has stale ones.
    attempt().or_else(|_| {
        update();
        attempt()
    })
}

/// Downloads the newest version of packages and unpacks them in `dir`, installing nothing.
/// Returns the names of the package files, which tell the versions.
pub(crate) fn unpack(packages: &[String], dir: &Path) -> anyhow::Result<Vec<String>> {
    let debs = tempfile::tempdir_in(dir).context("make a directory for packages")?;
    let attempt = || apt_get(&[]).arg("download").args(packages).dir(debs.path()).quietly();
    attempt().or_else(|_| {
        update();
        attempt()
    })?;
    let mut names = Vec::new();
    for entry in fs_err::read_dir(debs.path())? {
        let deb = entry?.path();
        Run::new("dpkg-deb").arg("--extract").arg(&deb).arg(dir).quietly()?;
        names.extend(deb.file_name().map(|name| name.to_string_lossy().into_owned()));
    }
    if names.is_empty() {
        bail!("apt downloaded nothing for {}", packages.join(", "));
    }
    names.sort();
    Ok(names)
}

/// What a package depends on, in its newest version; nothing when there is no such package.
pub(crate) fn dependencies(package: &str) -> anyhow::Result<Vec<String>> {
    let ask = || Run::new("apt-cache").args(["depends", "--important", package]).read();
    let answer = ask().or_else(|_| {
        update();
        ask()
    });
    Ok(answer.map(|text| parse_dependencies(&text)).unwrap_or_default())
}

/// The version that `apt-get install` would install.
pub(crate) fn candidate(package: &str) -> anyhow::Result<Option<String>> {
    update();
    let text = Run::new("apt-cache").args(["policy", package]).env("LC_ALL", "C").read()?;
    Ok(text
        .lines()
        .find_map(|line| line.trim().strip_prefix("Candidate: "))
        .filter(|version| *version != "(none)")
        .map(str::to_owned))
}

/// Brings the package lists up to date, once a run. Says when that fails, and goes on: what is
/// wanted may be in the lists that are there.
pub(crate) fn update() {
    static UPDATED: Once = Once::new();
    UPDATED.call_once(|| {
        say::step("updates the package lists (apt)");
        if let Err(error) = apt_get(&[]).arg("update").quietly() {
            say::step(format!("the package lists could not all be updated: {error}"));
        }
    });
}

/// `apt-get` with options, asking nothing.
pub(crate) fn apt_get(options: &[String]) -> Run {
    Run::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("LC_ALL", "C")
        // Another apt may be running, as after a machine's first boot.
        .args(["-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"])
        // Downloads go below `target`, where apt's own user may not write.
        .args(["-o", "APT::Sandbox::User=root"])
        .args(options)
}

/// Refuses when packages cannot be installed by this user.
pub(crate) fn must_be_root(packages: &[&str]) -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        let packages = packages.join(" ");
        bail!("only root can install {packages}: run `sudo apt-get install {packages}` first");
    }
    Ok(())
}

fn parse_dependencies(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.trim().trim_start_matches('|').strip_prefix("Depends: "))
        .map(|name| name.split(' ').next().unwrap_or(name).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_without_alternatives_and_versions() {
        let text = "linux-image-amd64\n  Depends: linux-image-6.1.0-56-amd64\n |Depends: a\n  \
                    Breaks: b\n";
        assert_eq!(parse_dependencies(text), ["linux-image-6.1.0-56-amd64", "a"]);
    }
}
