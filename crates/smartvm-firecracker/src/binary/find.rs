//! Where Firecracker is looked for.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::open::is_absent;
use super::{FirecrackerBinary, OpenBinaryError};
use crate::FirecrackerVersion;

const PROGRAM: &str = "firecracker";

/// The file among the releases that names the one to use.
const DEFAULT_FILE: &str = "default";

impl FirecrackerBinary {
    /// Finds the program to use and checks it as [`FirecrackerBinary::open`] does.
    ///
    /// The first of these that exists:
    /// 1. `explicit`, as it is; nothing else is looked at when it is given;
    /// 2. `<data_dir>/firecracker/v<version>/firecracker`, of the version that the file
    ///    `<data_dir>/firecracker/default` names, else of the newest;
    /// 3. `firecracker` in a directory of `path_var`, the value of `PATH`; relative entries are
    ///    passed over, for they would let the current directory choose the program.
    ///
    /// A program that exists but fails the check is an error, not a reason to look further: what
    /// runs should never depend on another program's being broken.
    ///
    /// # Errors
    /// When there is none (with the places looked at) or the one found fails the check.
    pub fn find(
        explicit: Option<&Path>,
        data_dir: &Path,
        path_var: Option<&OsStr>,
    ) -> Result<Self, OpenBinaryError> {
        if let Some(path) = explicit {
            return Self::open(path);
        }
        let releases_dir = data_dir.join(PROGRAM);
        if let Some(path) = chosen_release(&releases_dir) {
            return Self::open(&path);
        }
        if let Some(path) = newest_release(&releases_dir)? {
            return Self::open(&path);
        }
        let candidates: Vec<PathBuf> = path_var
            .into_iter()
            .flat_map(std::env::split_paths)
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join(PROGRAM))
            .collect();
        match candidates.iter().find(|path| is_executable_file(path)) {
            Some(path) => Self::open(path),
            None => Err(OpenBinaryError::NotFound {
                places: std::iter::once(releases_dir).chain(candidates).collect(),
            }),
        }
    }

    /// The program of one version, `<data_dir>/firecracker/v<version>/firecracker`, checked as
    /// [`FirecrackerBinary::open`] does.
    ///
    /// # Errors
    /// When it is not there or fails the check.
    pub fn find_version(
        data_dir: &Path,
        version: &FirecrackerVersion,
    ) -> Result<Self, OpenBinaryError> {
        Self::open(&data_dir.join(PROGRAM).join(format!("v{version}")).join(PROGRAM))
    }
}

/// The program of the version that was chosen, when it is there.
fn chosen_release(releases_dir: &Path) -> Option<PathBuf> {
    let name = fs_err::read_to_string(releases_dir.join(DEFAULT_FILE)).ok()?;
    // A name that is no version could lead elsewhere.
    let version: FirecrackerVersion = name.trim_end().parse().ok()?;
    let path = releases_dir.join(format!("v{version}")).join(PROGRAM);
    path.exists().then_some(path)
}

/// The program of the newest version in `<releases_dir>/v<version>/`.
fn newest_release(releases_dir: &Path) -> Result<Option<PathBuf>, OpenBinaryError> {
    let failed = |source| OpenBinaryError::Read { path: releases_dir.to_owned(), source };
    let entries = match fs_err::read_dir(releases_dir) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut releases = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let version = name.to_str().and_then(|name| name.strip_prefix('v'));
        if let Some(version) = version.and_then(|v| v.parse::<FirecrackerVersion>().ok()) {
            releases.push((version, entry.path().join(PROGRAM)));
        }
    }
    releases.sort_by(|(a, _), (b, _)| b.cmp(a));
    Ok(releases.into_iter().map(|(_, path)| path).find(|path| path.exists()))
}

/// As a shell decides which entry of `PATH` to take.
pub(crate) fn is_executable_file(path: &Path) -> bool {
    path.is_file() && accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A data directory with a real program as each of these releases.
    fn data_dir_with(releases: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for release in releases {
            install(&dir.path().join(PROGRAM).join(release));
        }
        dir
    }

    fn install(dir: &Path) {
        fs_err::create_dir_all(dir).unwrap();
        symlink("/bin/sh", dir.join(PROGRAM)).unwrap();
    }

    #[test]
    fn takes_the_newest_release_by_number() {
        let data = data_dir_with(&["v1.9.1", "v1.12.1", "v1.12.0", "junk", "1.99.0"]);
        let found = FirecrackerBinary::find(None, data.path(), None).unwrap();
        assert_eq!(found.path(), data.path().join("firecracker/v1.12.1/firecracker"));
    }

    #[test]
    fn passes_over_a_release_directory_without_a_program() {
        let data = data_dir_with(&["v1.12.1"]);
        fs_err::create_dir(data.path().join("firecracker/v1.16.1")).unwrap();
        let found = FirecrackerBinary::find(None, data.path(), None).unwrap();
        assert_eq!(found.path(), data.path().join("firecracker/v1.12.1/firecracker"));
    }

    #[test]
    fn the_chosen_release_wins_over_a_newer_one_while_it_is_there() {
        let data = data_dir_with(&["v1.9.1", "v1.12.1"]);
        let found = || FirecrackerBinary::find(None, data.path(), None).unwrap();
        let default = data.path().join("firecracker/default");
        fs_err::write(&default, "v1.9.1\n").unwrap();
        assert_eq!(found().path(), data.path().join("firecracker/v1.9.1/firecracker"));
        for none in ["v1.10.0\n", "../../bin", ""] {
            fs_err::write(&default, none).unwrap();
            assert_eq!(found().path(), data.path().join("firecracker/v1.12.1/firecracker"));
        }
    }

    #[test]
    fn a_version_that_is_asked_for_is_found_or_missed_by_its_own_place() {
        let data = data_dir_with(&["v1.12.1"]);
        let find =
            |version: &str| FirecrackerBinary::find_version(data.path(), &version.parse().unwrap());
        assert_eq!(
            find("1.12.1").unwrap().path(),
            data.path().join("firecracker/v1.12.1/firecracker")
        );
        assert!(find("1.9.1").unwrap_err().to_string().contains("v1.9.1"));
    }

    #[test]
    fn an_explicit_path_wins_even_when_it_does_not_exist() {
        let data = data_dir_with(&["v1.12.1"]);
        let missing = data.path().join("missing");
        let error = FirecrackerBinary::find(Some(&missing), data.path(), None).unwrap_err();
        assert_eq!(error.code(), "FIRECRACKER_NOT_FOUND");
    }

    #[test]
    fn falls_back_to_path_and_passes_over_relative_entries() {
        let data = tempfile::tempdir().unwrap();
        install(&data.path().join("bin"));
        let path_var = format!("relative:{0}/none:{0}/bin", data.path().display());
        let found = FirecrackerBinary::find(None, data.path(), Some(path_var.as_ref())).unwrap();
        assert_eq!(found.path(), data.path().join("bin/firecracker"));
    }

    #[test]
    fn says_where_it_looked() {
        let data = tempfile::tempdir().unwrap();
        let error = FirecrackerBinary::find(None, data.path(), Some("/nonexistent/bin".as_ref()))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "found no Firecracker at {}/firecracker, /nonexistent/bin/firecracker",
                data.path().display()
            )
        );
    }
}
