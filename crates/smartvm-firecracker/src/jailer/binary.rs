//! The jailer's program on disk.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::binary::is_executable_file;
use crate::{FirecrackerBinary, OpenBinaryError};

const PROGRAM: &str = "jailer";

/// A jailer program that was checked as far as that goes without running it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JailerBinary {
    path: PathBuf,
}

impl JailerBinary {
    /// Checks that `path` is a program that this user may execute on this machine.
    ///
    /// # Errors
    /// When it is not; see [`OpenJailerError::code`].
    pub fn open(path: &Path) -> Result<Self, OpenJailerError> {
        match FirecrackerBinary::open(path) {
            Ok(_) => Ok(Self { path: path.to_owned() }),
            Err(OpenBinaryError::NotFound { places }) => Err(OpenJailerError::NotFound { places }),
            Err(source) => Err(OpenJailerError::Unusable { source }),
        }
    }

    /// Finds the jailer that belongs to a Firecracker.
    ///
    /// The first of these that exists: `explicit`, as it is; `jailer`, or `jailer` with whatever
    /// follows `firecracker` in that program's name, in the directory of `firecracker` (links
    /// followed); `jailer` in a directory of `path_var`, the value of `PATH`.
    ///
    /// # Errors
    /// When there is none, or the one found cannot be used.
    pub fn find(
        firecracker: &FirecrackerBinary,
        explicit: Option<&Path>,
        path_var: Option<&OsStr>,
    ) -> Result<Self, OpenJailerError> {
        if let Some(path) = explicit {
            return Self::open(path);
        }
        let program = firecracker.path();
        let real = fs_err::canonicalize(program).unwrap_or_else(|_| program.to_owned());
        let beside = [program, real.as_path()].into_iter().flat_map(beside);
        let on_path = path_var
            .into_iter()
            .flat_map(std::env::split_paths)
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join(PROGRAM));
        let mut places: Vec<PathBuf> = beside.chain(on_path).collect();
        places.dedup();
        match places.iter().find(|path| is_executable_file(path)) {
            Some(path) => Self::open(path),
            None => Err(OpenJailerError::NotFound { places }),
        }
    }

    /// Where the program is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// No usable jailer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenJailerError {
    /// There is no such file, in any of the places looked at.
    #[error("found no jailer at {}", list(places))]
    NotFound {
        /// Where it was looked for, in that order.
        places: Vec<PathBuf>,
    },
    /// It is there and cannot be used.
    #[error("the jailer cannot be used")]
    Unusable {
        /// Why not.
        #[source]
        source: OpenBinaryError,
    },
}

impl OpenJailerError {
    /// A stable name of the kind of failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "JAILER_NOT_FOUND",
            Self::Unusable { source } => match source.code() {
                "FIRECRACKER_WRONG_ARCH" => "JAILER_WRONG_ARCH",
                "NOT_FIRECRACKER" => "NOT_JAILER",
                _ => "JAILER_NOT_EXECUTABLE",
            },
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => Some(
                "put the jailer of the same release beside Firecracker, or name it explicitly"
                    .to_owned(),
            ),
            Self::Unusable { source } => source.hint(),
        }
    }
}

/// A release's archive has names such as `firecracker-v1.12.1-x86_64` in it.
fn beside(firecracker: &Path) -> Vec<PathBuf> {
    let Some(dir) = firecracker.parent() else { return Vec::new() };
    let name = firecracker.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let suffix = name.strip_prefix("firecracker").unwrap_or_default();
    let mut places = vec![dir.join(PROGRAM)];
    if !suffix.is_empty() {
        places.insert(0, dir.join(format!("{PROGRAM}{suffix}")));
    }
    places
}

fn list(places: &[PathBuf]) -> String {
    let places: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
    places.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(dir: &Path, name: &str) -> PathBuf {
        let path = dir.join(name);
        fs_err::copy("/bin/sh", &path).unwrap();
        path
    }

    #[test]
    fn the_jailer_beside_firecracker_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let firecracker = install(dir.path(), "firecracker-v1.12.1-x86_64");
        let firecracker = FirecrackerBinary::open(&firecracker).unwrap();
        let find = || JailerBinary::find(&firecracker, None, Some("/nowhere".as_ref()));
        let error = find().unwrap_err();
        assert_eq!(error.code(), "JAILER_NOT_FOUND");
        assert!(error.to_string().ends_with(", /nowhere/jailer"), "{error}");
        let plain = install(dir.path(), "jailer");
        assert_eq!(find().unwrap().path(), plain);
        let same_release = install(dir.path(), "jailer-v1.12.1-x86_64");
        assert_eq!(find().unwrap().path(), same_release);
    }

    #[test]
    fn the_jailer_beside_what_a_link_leads_to_is_taken() {
        let (dir, links) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let jailer = install(dir.path(), "jailer");
        let link = links.path().join("firecracker");
        std::os::unix::fs::symlink(install(dir.path(), "firecracker"), &link).unwrap();
        let firecracker = FirecrackerBinary::open(&link).unwrap();
        let found = JailerBinary::find(&firecracker, None, None).unwrap();
        assert_eq!(found.path(), fs_err::canonicalize(jailer).unwrap());
    }

    #[test]
    fn a_named_jailer_must_be_a_program() {
        let dir = tempfile::tempdir().unwrap();
        let firecracker = FirecrackerBinary::open("/bin/sh".as_ref()).unwrap();
        let find = |path: &Path| JailerBinary::find(&firecracker, Some(path), None).unwrap_err();
        assert_eq!(find(&dir.path().join("x")).code(), "JAILER_NOT_FOUND");
        assert_eq!(find(dir.path()).code(), "NOT_JAILER");
        fs_err::write(dir.path().join("text"), "text").unwrap();
        assert_eq!(find(&dir.path().join("text")).code(), "JAILER_NOT_EXECUTABLE");
    }
}
