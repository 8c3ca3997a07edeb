//! Can the vsock's socket be where it is wanted?

use std::path::{Path, PathBuf};

/// A place where no socket can be made. Code `VSOCK_PATH_UNUSABLE`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VsockPathUnusable {
    /// Something is there already.
    #[error("the vsock's socket cannot be at {}, where something is already", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// There is no directory for it.
    #[error("the vsock's socket cannot be at {}: its directory does not exist", path.display())]
    NoDirectory {
        /// The path.
        path: PathBuf,
    },
}

impl VsockPathUnusable {
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Exists { path } => {
                Some(format!("remove {} if nothing uses it any more", path.display()))
            }
            Self::NoDirectory { .. } => None,
        }
    }
}

pub(super) fn check(path: &Path) -> Result<(), VsockPathUnusable> {
    if path.symlink_metadata().is_ok() {
        return Err(VsockPathUnusable::Exists { path: path.to_owned() });
    }
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    if dir.is_dir() {
        Ok(())
    } else {
        Err(VsockPathUnusable::NoDirectory { path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_free_place_in_a_directory_will_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("v.sock");
        check(&path).unwrap();
        fs_err::write(&path, "").unwrap();
        assert!(matches!(check(&path), Err(VsockPathUnusable::Exists { .. })));
        let missing = dir.path().join("none/v.sock");
        assert!(matches!(check(&missing), Err(VsockPathUnusable::NoDirectory { .. })));
    }
}
