//! Names of a VM's files at places that the user chose.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A symbolic link outside the VM's directory that leads to one of its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Link {
    /// Where it is.
    path: PathBuf,
    /// Where it leads to.
    target: PathBuf,
}

impl Link {
    pub(super) fn new(path: &Path, target: PathBuf) -> io::Result<Self> {
        Ok(Self { path: std::path::absolute(path)?, target })
    }

    /// Makes the link; whatever is there already is an error.
    pub(super) fn make(&self) -> io::Result<()> {
        symlink(&self.target, &self.path).map_err(|error| {
            let text = format!("failed to make the link {}: {error}", self.path.display());
            io::Error::new(error.kind(), text)
        })
    }

    /// Removes the link if it is still ours: what somebody else put there stays.
    pub(super) fn remove(&self) -> io::Result<()> {
        match fs_err::read_link(&self.path) {
            Ok(target) if target == self.target => fs_err::remove_file(&self.path),
            Ok(_) => Ok(()),
            // Nothing is there, or something that is no link.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::InvalidInput
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_made_once_and_removed_while_it_is_ours() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("v.sock");
        let link = Link::new(&path, "/run/vm/vsock.sock".into()).unwrap();
        link.remove().unwrap();
        link.make().unwrap();
        assert_eq!(fs_err::read_link(&path).unwrap(), Path::new("/run/vm/vsock.sock"));
        assert_eq!(link.make().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        link.remove().unwrap();
        assert!(path.symlink_metadata().is_err());
    }

    #[test]
    fn what_somebody_else_put_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("v.sock");
        let link = Link::new(&path, "/run/vm/vsock.sock".into()).unwrap();
        symlink("/elsewhere", &path).unwrap();
        link.remove().unwrap();
        assert!(path.symlink_metadata().is_ok());
        fs_err::remove_file(&path).unwrap();
        fs_err::write(&path, "a file").unwrap();
        link.remove().unwrap();
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "a file");
    }
}
