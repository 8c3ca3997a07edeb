//! What a change can touch.

use std::collections::BTreeSet;

use anyhow::Context;
use serde_json::Value;

use super::tier::Tier;
use crate::run::Run;
use crate::workspace;

/// Packages whose programs the tests of other tiers run, without depending on them as crates.
const PROGRAMS: [&str; 3] = ["smartvm-cli", "smartvm-agent", "xtask"];
/// The package of the native and the lab tier.
const WHOLE: &str = "smartvm-tests";
/// Packages that the unit tier has no tests of.
const NO_UNIT: [&str; 2] = [WHOLE, "smartvm-bench"];

/// The packages that tests are run of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Touched {
    /// All.
    #[default]
    Everything,
    /// These, and those that depend on them.
    Packages(BTreeSet<String>),
}

/// A package of the workspace.
struct Package {
    name: String,
    /// Below the checkout's root, with a `/` at its end.
    dir: String,
    depends_on: BTreeSet<String>,
    /// Whether its documentation can have examples that run.
    is_library: bool,
}

impl Touched {
    /// What has changed since the commit `rev`, committed or not.
    pub(super) fn since(rev: &str) -> anyhow::Result<Self> {
        let git = |args: &[&str]| Run::new("git").args(args).read();
        let mut files = git(&["diff", "--name-only", rev, "--"])?;
        files.push_str(&git(&["ls-files", "--others", "--exclude-standard"])?);
        Ok(Self::by(files.lines(), &packages()?))
    }

    fn by<'a>(files: impl Iterator<Item = &'a str>, packages: &[Package]) -> Self {
        let mut touched = BTreeSet::new();
        for file in files {
            match packages.iter().find(|package| file.starts_with(&package.dir)) {
                Some(package) => drop(touched.insert(package.name.clone())),
                None if is_prose(file) => {}
                // The manifest of the workspace, settings of tools: whatever they touch.
                None => return Self::Everything,
            }
        }
        loop {
            let known = touched.len();
            for package in packages {
                if !package.depends_on.is_disjoint(&touched) {
                    touched.insert(package.name.clone());
                }
            }
            if touched.len() == known {
                return Self::Packages(touched);
            }
        }
    }

    /// Whether the tier tests anything of it.
    pub(super) fn touches(&self, tier: Tier) -> bool {
        match (self, tier) {
            (Self::Everything, _) => true,
            (Self::Packages(packages), Tier::Unit) => unit(packages).next().is_some(),
            (Self::Packages(packages), Tier::Native | Tier::Lab) => {
                packages.iter().any(|name| name == WHOLE || PROGRAMS.contains(&name.as_str()))
            }
        }
    }

    /// Cargo's options that name the packages whose documentation has examples. None: there is no such
    /// package.
    pub(super) fn with_examples(&self) -> anyhow::Result<Vec<String>> {
        Ok(match self {
            Self::Everything => vec!["--workspace".to_owned()],
            Self::Packages(touched) => packages()?
                .iter()
                .filter(|package| package.is_library && touched.contains(&package.name))
                .map(|package| format!("--package={}", package.name))
                .collect(),
        })
    }

    /// Nextest's expression for the tests of the unit tier.
    pub(super) fn filterset(&self) -> String {
        match self {
            Self::Everything => NO_UNIT.map(|name| format!("not package(={name})")).join(" and "),
            Self::Packages(packages) => unit(packages)
                .map(|name| format!("package(={name})"))
                .collect::<Vec<_>>()
                .join(" or "),
        }
    }
}

/// Those of the packages that the unit tier has tests of.
fn unit(packages: &BTreeSet<String>) -> impl Iterator<Item = &String> {
    packages.iter().filter(|package| !NO_UNIT.contains(&package.as_str()))
}

/// What no test reads, but for those that are in `docs`.
fn is_prose(file: &str) -> bool {
    file.ends_with(".md") && !file.starts_with("docs/")
}

/// Cargo's list of the packages of this checkout.
fn packages() -> anyhow::Result<Vec<Package>> {
    let text = Run::new(workspace::cargo())
        .args(["metadata", "--format-version", "1", "--locked", "--no-deps"])
        .read()?;
    let metadata: Value = serde_json::from_str(&text).context("read cargo's metadata")?;
    let packages = metadata["packages"].as_array().context("find packages in cargo's metadata")?;
    packages.iter().map(package).collect::<Option<_>>().context("understand cargo's metadata")
}

fn package(metadata: &Value) -> Option<Package> {
    let manifest = std::path::Path::new(metadata["manifest_path"].as_str()?);
    let dir = manifest.parent()?.strip_prefix(workspace::root()).ok()?;
    let dependencies = metadata["dependencies"].as_array()?;
    let targets = metadata["targets"].as_array()?;
    Some(Package {
        name: metadata["name"].as_str()?.to_owned(),
        dir: format!("{}/", dir.display()),
        depends_on: dependencies
            .iter()
            .filter_map(|it| Some(it["name"].as_str()?.to_owned()))
            .collect(),
        is_library: targets.iter().any(|target| target["kind"][0] == "lib"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touched(files: &[&str]) -> Touched {
        let package = |name: &str, dir: &str, depends_on: &[&str]| Package {
            name: name.into(),
            dir: dir.into(),
            depends_on: depends_on.iter().map(|it| (*it).to_owned()).collect(),
            is_library: true,
        };
        let packages = [
            package("smartvm-network", "crates/smartvm-network/", &[]),
            package("smartvm", "crates/smartvm/", &["smartvm-network"]),
            package("smartvm-agent", "crates/smartvm-agent/", &[]),
            package("smartvm-tests", "tests/", &["smartvm"]),
        ];
        Touched::by(files.iter().copied(), &packages)
    }

    #[test]
    fn a_crate_touches_those_that_depend_on_it() {
        let by_network = touched(&["crates/smartvm-network/src/lib.rs", "README.md"]);
        assert!(Tier::ALL.into_iter().all(|tier| by_network.touches(tier)));
        assert_eq!(by_network.filterset(), "package(=smartvm) or package(=smartvm-network)");
    }

    #[test]
    fn tests_touch_themselves() {
        let by_tests = touched(&["tests/tests/lab/boot.rs"]);
        assert_eq!(Tier::ALL.map(|tier| by_tests.touches(tier)), [false, true, true]);
    }

    #[test]
    fn a_program_touches_the_tests_that_run_it() {
        let by_agent = touched(&["crates/smartvm-agent/src/main.rs"]);
        assert_eq!(Tier::ALL.map(|tier| by_agent.touches(tier)), [true, true, true]);
    }

    #[test]
    fn prose_touches_nothing_and_settings_everything() {
        let by_prose = touched(&["README.md", "crates.md"]);
        assert!(Tier::ALL.into_iter().all(|tier| !by_prose.touches(tier)));
        for settings in ["Cargo.lock", ".config/nextest.toml", "docs/SECURITY.md"] {
            assert_eq!(touched(&[settings]), Touched::Everything, "{settings}");
        }
    }

    #[test]
    fn the_packages_of_this_checkout_are_known() {
        let packages = packages().unwrap();
        let tests = packages.iter().find(|package| package.name == WHOLE).unwrap();
        assert_eq!(tests.dir, "tests/");
        assert!(tests.depends_on.contains("smartvm"));
        let libraries = |names: &[&str]| {
            Touched::Packages(names.iter().map(|it| (*it).to_owned()).collect())
                .with_examples()
                .unwrap()
        };
        assert_eq!(libraries(&["smartvm", "smartvm-cli"]), ["--package=smartvm"]);
        for program in PROGRAMS.into_iter().chain(NO_UNIT) {
            assert!(packages.iter().any(|package| package.name == program), "{program}");
        }
    }
}
