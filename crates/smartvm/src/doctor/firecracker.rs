//! Whether Firecracker and its jailer are there, and which.

use std::path::Path;

use smartvm_firecracker::{FirecrackerBinary, FirecrackerVersion};

use super::known_bad::{describe, describe_remedy, of_firecracker, of_jailer};
use super::options::DoctorOptions;
use super::report::{Check, Subject};
use super::version_probe::{DEADLINE, probe};

const FIRECRACKER: Subject = Subject { id: "firecracker", title: "Firecracker" };
const JAILER: Subject = Subject { id: "jailer", title: "Jailer" };

/// Both programs: the jailer belongs beside the Firecracker that it starts.
pub(super) fn check(options: &DoctorOptions) -> [Check; 2] {
    let (explicit, path_var) = (options.firecracker.as_deref(), options.path_var.as_deref());
    match FirecrackerBinary::find(explicit, &options.data_dir, path_var) {
        Ok(binary) => check_programs(binary.path()),
        Err(error) => {
            let remedy = error.hint().unwrap_or_else(|| {
                "install a release of Firecracker, or name the program to use".to_owned()
            });
            [FIRECRACKER.fail(with_causes(&error), remedy), no_jailer("without Firecracker")]
        }
    }
}

fn check_programs(path: &Path) -> [Check; 2] {
    let shown = path.display();
    match probe(path, "Firecracker", DEADLINE) {
        Ok(version) => [judge_firecracker(path, &version), check_jailer(path, &version)],
        Err(error) => [
            FIRECRACKER.fail(
                format!("{shown} {}", with_causes(&error)),
                format!("run `{shown} --version` and look at what it says, or name another"),
            ),
            no_jailer("without Firecracker's version"),
        ],
    }
}

fn judge_firecracker(path: &Path, version: &FirecrackerVersion) -> Check {
    let found = format!("version {version} at {}", path.display());
    let defects = of_firecracker(version);
    if defects.is_empty() {
        FIRECRACKER.pass(found)
    } else {
        FIRECRACKER.warn(format!("{found}; {}", describe(&defects)), describe_remedy(&defects))
    }
}

fn check_jailer(firecracker: &Path, version: &FirecrackerVersion) -> Check {
    let path = firecracker.with_file_name("jailer");
    if !path.exists() {
        return JAILER
            .info(format!("not beside {}", firecracker.display()))
            .remedy("install it from the same release to isolate machines from each other");
    }
    match probe(&path, "Jailer", DEADLINE) {
        Ok(own) => judge_jailer(&path, &own, version),
        Err(error) => JAILER.warn(
            format!("{} {}", path.display(), with_causes(&error)),
            "install it from Firecracker's release",
        ),
    }
}

fn judge_jailer(path: &Path, own: &FirecrackerVersion, firecracker: &FirecrackerVersion) -> Check {
    let found = format!("version {own} at {}", path.display());
    let defects = of_jailer(own);
    if own != firecracker {
        JAILER.warn(
            format!("{found}, but Firecracker is {firecracker}"),
            "install both from the same release",
        )
    } else if defects.is_empty() {
        JAILER.pass(found)
    } else {
        JAILER.warn(format!("{found}; {}", describe(&defects)), describe_remedy(&defects))
    }
}

fn no_jailer(reason: &str) -> Check {
    JAILER.info(format!("not looked for {reason}"))
}

/// An error and what caused it, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;

    fn version(text: &str) -> FirecrackerVersion {
        text.parse().unwrap()
    }

    #[test]
    fn a_version_with_faults_is_warned_of() {
        let path = Path::new("/opt/firecracker");
        assert_eq!(judge_firecracker(path, &version("1.16.1")).status, Status::Pass);
        let check = judge_firecracker(path, &version("1.15.0"));
        assert_eq!(check.status, Status::Warn);
        assert_eq!(check.remedy.unwrap(), "CVE-2026-5747 is fixed in 1.14.4 and 1.15.1");
    }

    #[test]
    fn a_jailer_of_another_version_or_with_faults_is_warned_of() {
        let judge = |own, other| {
            judge_jailer(Path::new("/opt/jailer"), &version(own), &version(other)).status
        };
        assert_eq!(judge("1.16.1", "1.16.1"), Status::Pass);
        assert_eq!(judge("1.16.1", "1.15.1"), Status::Warn);
        assert_eq!(judge("1.12.1", "1.12.1"), Status::Warn);
    }

    #[test]
    fn no_firecracker_fails_and_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let options = DoctorOptions::new(dir.path(), dir.path());
        let [firecracker, jailer] = check(&options);
        assert_eq!((firecracker.status, jailer.status), (Status::Fail, Status::Info));
        assert!(firecracker.remedy.is_some());
    }

    #[test]
    fn a_program_that_is_not_firecracker_fails() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = DoctorOptions::new(dir.path(), dir.path());
        options.firecracker = Some("/bin/true".into());
        let [firecracker, _] = check(&options);
        assert_eq!(firecracker.status, Status::Fail);
        assert!(firecracker.found.contains("is not Firecracker"), "{}", firecracker.found);
    }

    #[test]
    fn a_firecracker_without_a_jailer_is_no_problem() {
        let check = check_jailer(Path::new("/nonexistent/firecracker"), &version("1.16.1"));
        assert_eq!(check.status, Status::Info);
    }
}
