//! The directory that keeps releases: `vX.Y.Z/{firecracker,jailer}`, and `default`, which names one.
//!
//! A version appears whole, by a rename, or not at all. Names that begin with `~` are of installs that
//! go on or were interrupted.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use smartvm_dir::{PrivateDir, Trust};

use super::archive::Program;
use super::release_error::ReleaseError;
use super::version::ReleaseVersion;
use crate::atomic_file::write_atomically;

/// The file that names the version to use.
const DEFAULT_FILE: &str = "default";

/// A directory of Firecracker's releases.
#[derive(Debug, Clone)]
pub struct ReleaseStore {
    pub(super) dir: PathBuf,
}

/// A release that is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstalledRelease {
    /// The version.
    pub version: ReleaseVersion,
    /// Firecracker itself.
    pub firecracker: PathBuf,
    /// Its jailer.
    pub jailer: PathBuf,
    /// Whether VMs use it when nothing else is said.
    pub is_default: bool,
}

impl ReleaseStore {
    /// Opens the store in `dir`, creating it for its owner alone (0700) when it is not there.
    ///
    /// # Errors
    /// `UNSAFE_DIRECTORY` when others may write to it: what is in it will run.
    pub fn open(dir: &Path) -> Result<Self, ReleaseError> {
        Ok(Self { dir: PrivateDir::ensure_for(dir, Trust::UsOrRoot)?.path().to_owned() })
    }

    /// The directory of the store, absolute.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The installed releases, the oldest first. A directory that lacks a program is left out.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(&self) -> Result<Vec<InstalledRelease>, ReleaseError> {
        let default = self.default_version();
        let versions = self.versions()?;
        // As VMs choose: what was said, else the newest.
        let used = default.filter(|v| versions.contains(v)).or_else(|| versions.last().copied());
        Ok(versions.into_iter().map(|v| self.release(v, Some(v) == used)).collect())
    }

    /// An installed release.
    ///
    /// # Errors
    /// `FIRECRACKER_NOT_FOUND`, which names those that are.
    pub fn get(&self, version: ReleaseVersion) -> Result<InstalledRelease, ReleaseError> {
        let installed = self.list()?;
        let found = installed.iter().find(|release| release.version == version).cloned();
        found.ok_or_else(|| ReleaseError::NotInstalled {
            version,
            installed: installed.iter().map(|release| release.version).collect(),
        })
    }

    /// The version that was chosen, whether it is installed or not.
    #[must_use]
    pub fn default_version(&self) -> Option<ReleaseVersion> {
        let text = fs_err::read_to_string(self.dir.join(DEFAULT_FILE)).ok()?;
        text.trim_end().parse().ok()
    }

    /// Has VMs use this version from now on, when nothing else is said.
    ///
    /// # Errors
    /// `FIRECRACKER_NOT_FOUND` when it is not installed.
    pub fn set_default(&self, version: ReleaseVersion) -> Result<InstalledRelease, ReleaseError> {
        self.get(version)?;
        let path = self.dir.join(DEFAULT_FILE);
        write_atomically(&path, format!("{version}\n").as_bytes())
            .map_err(|source| ReleaseError::Io { action: "write", path, source })?;
        self.get(version)
    }

    /// Removes a release. VMs that run it go on. When it was the chosen one, none is chosen any more.
    ///
    /// # Errors
    /// `FIRECRACKER_NOT_FOUND` when it is not installed.
    pub fn delete(&self, version: ReleaseVersion) -> Result<(), ReleaseError> {
        self.get(version)?;
        let dir = self.dir.join(version.to_string());
        let doomed = self.dir.join(format!("~removed-{version}"));
        let fail = |action, path: &Path| {
            let path = path.to_owned();
            move |source| ReleaseError::Io { action, path, source }
        };
        remove_tree(&doomed).map_err(fail("remove", &doomed))?;
        fs_err::rename(&dir, &doomed).map_err(fail("remove", &dir))?;
        if self.default_version() == Some(version) {
            let path = self.dir.join(DEFAULT_FILE);
            fs_err::remove_file(&path).map_err(fail("remove", &path))?;
        }
        remove_tree(&doomed).map_err(fail("remove", &doomed))
    }

    /// Whether both programs of a version are there.
    pub(super) fn has(&self, version: ReleaseVersion) -> bool {
        let dir = self.dir.join(version.to_string());
        let is_file = |program: Program| {
            let metadata = fs_err::symlink_metadata(dir.join(program.as_str()));
            metadata.is_ok_and(|metadata| metadata.is_file())
        };
        Program::ALL.into_iter().all(is_file)
    }

    pub(super) fn release(&self, version: ReleaseVersion, is_default: bool) -> InstalledRelease {
        let dir = self.dir.join(version.to_string());
        InstalledRelease {
            version,
            firecracker: dir.join(Program::Firecracker.as_str()),
            jailer: dir.join(Program::Jailer.as_str()),
            is_default,
        }
    }

    fn versions(&self) -> Result<Vec<ReleaseVersion>, ReleaseError> {
        let fail = |source| ReleaseError::Io { action: "read", path: self.dir.clone(), source };
        let mut versions = Vec::new();
        for entry in fs_err::read_dir(&self.dir).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name();
            versions.extend(name.to_str().and_then(|name| name.parse::<ReleaseVersion>().ok()));
        }
        versions.retain(|version| self.has(*version));
        versions.sort();
        Ok(versions)
    }
}

/// Removes a directory, which may be gone, or be going: others may be removing it too.
pub(crate) fn remove_tree(dir: &Path) -> io::Result<()> {
    loop {
        match fs_err::remove_dir_all(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs_err::symlink_metadata(dir).is_err() {
                    return Ok(());
                }
            }
            other => return other,
        }
    }
}
