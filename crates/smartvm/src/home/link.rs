//! Names of a VM's files at places that the user chose.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, readlinkat, unlinkat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::record::VmRecord;
use super::runtime_dir::RuntimeDir;

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

    /// Whether it leads to a file of the VM that the record is of: no other link is ours to remove.
    pub(super) fn leads_into(&self, record: &VmRecord, home: &RuntimeDir) -> bool {
        let plain = self.target.components().all(|it| it != std::path::Component::ParentDir);
        let jail = record.jail.as_ref().is_some_and(|jail| self.target.starts_with(&jail.dir));
        plain && (jail || self.target.starts_with(home.vm_path(&record.id)))
    }

    /// Removes the link if it is still ours: what somebody else put there stays. It is looked at and
    /// removed in one directory, wherever the path may lead in between.
    pub(super) fn remove(&self) -> io::Result<()> {
        let removed = match self.open_parent() {
            Ok((parent, name)) => self.remove_from(&parent, name),
            Err(errno) => Err(errno),
        };
        match removed {
            // Nothing is there, or something that is no link.
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR | Errno::INVAL) => Ok(()),
            Err(errno) => {
                let error = io::Error::from(errno);
                let text = format!("failed to remove the link {}: {error}", self.path.display());
                Err(io::Error::new(error.kind(), text))
            }
        }
    }

    fn open_parent(&self) -> Result<(OwnedFd, &OsStr), Errno> {
        let (Some(parent), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return Err(Errno::INVAL);
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok((openat(CWD, parent, flags, Mode::empty())?, name))
    }

    fn remove_from(&self, parent: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
        let target = readlinkat(parent, name, Vec::new())?;
        if OsStr::from_bytes(target.to_bytes()) != self.target.as_os_str() {
            return Ok(());
        }
        unlinkat(parent, name, AtFlags::empty())
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
