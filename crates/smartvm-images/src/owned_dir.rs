//! Directories whose content will run, so that nobody else may write to them.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The reason why a directory cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OwnedDirError {
    /// Others could plant files in it.
    #[error("directory `{}` {problem}", dir.display())]
    Unsafe {
        /// The directory.
        dir: PathBuf,
        /// Whose it is, or who can write to it.
        problem: String,
    },
    /// The operating system refused.
    #[error("failed to {action} directory `{}`", dir.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl OwnedDirError {
    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsafe { .. } => "UNSAFE_DIRECTORY",
            Self::Io { .. } => "IMAGE_STORE_FAILED",
        }
    }

    /// What its owner can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unsafe { dir, .. } => {
                Some(format!("make it yours alone: chmod go-w {0}; chown $USER {0}", dir.display()))
            }
            Self::Io { .. } => None,
        }
    }
}

/// The directory as an absolute path, made for its owner alone (0700) when it is not there.
pub(crate) fn ensure_owned_dir(dir: &Path) -> Result<PathBuf, OwnedDirError> {
    let fail = |action| move |source| OwnedDirError::Io { action, dir: dir.to_owned(), source };
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(dir).map_err(fail("create"))?;
    let metadata = fs_err::metadata(dir).map_err(fail("examine"))?;
    let owner = metadata.uid();
    let problem = if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        format!("belongs to user {owner}")
    } else if metadata.mode() & 0o022 != 0 {
        format!("can be written by others: its mode is {:03o}", metadata.mode() & 0o777)
    } else {
        return std::path::absolute(dir).map_err(fail("find"));
    };
    Err(OwnedDirError::Unsafe { dir: dir.to_owned(), problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_others_can_write_to_is_not_used() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("a/b");
        assert_eq!(ensure_owned_dir(&dir).unwrap(), dir);
        assert_eq!(fs_err::metadata(&dir).unwrap().mode() & 0o777, 0o700);
        fs_err::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let error = ensure_owned_dir(&dir).unwrap_err();
        assert_eq!(error.code(), "UNSAFE_DIRECTORY");
        assert!(error.to_string().contains("its mode is 777"), "{error}");
    }
}
