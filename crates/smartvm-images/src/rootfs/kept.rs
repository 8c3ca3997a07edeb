//! The images in a directory of root file systems, and their removal.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use crate::image_lock::{ImageLock, ImageLockError};

/// An image that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptRootfs {
    /// Its name in the directory.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its length in bytes, holes included.
    pub size: u64,
    /// The bytes that it takes of the disk, those that it shares with others included.
    pub allocated: u64,
}

/// The images in `dir`, by name; none when there is no such directory. What is no regular file, and drafts, are left
/// out.
///
/// # Errors
/// When the directory cannot be read.
pub fn list_rootfs(dir: &Path) -> io::Result<Vec<KeptRootfs>> {
    let entries = match fs_err::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut images = Vec::new();
    for entry in entries {
        let entry = entry?;
        let (path, found) = (entry.path(), entry.metadata());
        let Ok(name) = entry.file_name().into_string() else { continue };
        match found {
            Ok(found) if found.is_file() && !name.starts_with('.') => {
                let (size, allocated) = (found.len(), found.blocks().saturating_mul(512));
                images.push(KeptRootfs { name, path, size, allocated });
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    images.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(images)
}

/// The reason why an image was not removed. It is as it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RemoveRootfsError {
    /// There is no such image.
    #[error("there is no image `{}`", path.display())]
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// It is no image.
    #[error("`{}` is not a regular file", path.display())]
    NotAFile {
        /// What it is.
        path: PathBuf,
    },
    /// Somebody uses it.
    #[error(transparent)]
    InUse(#[from] ImageLockError),
    /// The operating system refused.
    #[error("failed to remove `{}`", path.display())]
    Io {
        /// The image.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl RemoveRootfsError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "ROOTFS_NOT_FOUND",
            Self::InUse(error) => error.code(),
            Self::NotAFile { .. } | Self::Io { .. } => "ROOTFS_REMOVE_FAILED",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => Some("see what there is: smartvm rootfs list".to_owned()),
            Self::InUse(error) => error.hint(),
            Self::NotAFile { .. } | Self::Io { .. } => None,
        }
    }
}

/// Removes the image `path`, unless somebody uses it.
///
/// # Errors
/// `ROOTFS_NOT_FOUND`, `IMAGE_IN_USE`, `ROOTFS_REMOVE_FAILED`.
pub fn remove_rootfs(path: &Path) -> Result<(), RemoveRootfsError> {
    let of = || path.to_owned();
    match fs_err::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(RemoveRootfsError::NotFound { path: of() });
        }
        Err(source) => return Err(RemoveRootfsError::Io { path: of(), source }),
        Ok(found) if !found.is_file() => return Err(RemoveRootfsError::NotAFile { path: of() }),
        Ok(_) => {}
    }
    // Held until the name is gone: nobody begins to use it meanwhile.
    let _alone = ImageLock::to_write(path, "its removal")?;
    fs_err::remove_file(path).map_err(|source| RemoveRootfsError::Io { path: of(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_listed_until_it_is_removed_and_one_in_use_stays() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(list_rootfs(&dir.path().join("none")).unwrap(), []);
        let path = dir.path().join("web");
        fs_err::File::create(&path).unwrap().set_len(1 << 30).unwrap();
        fs_err::create_dir(dir.path().join(".web.draft-x")).unwrap();
        let listed = list_rootfs(dir.path()).unwrap();
        assert_eq!((listed.len(), &*listed[0].name, listed[0].size), (1, "web", 1 << 30));
        assert!(listed[0].allocated < 1 << 20);
        let reader = ImageLock::to_read(&path, "VM `web`").unwrap();
        let error = remove_rootfs(&path).unwrap_err();
        assert_eq!(error.code(), "IMAGE_IN_USE", "{error}");
        drop(reader);
        remove_rootfs(&path).unwrap();
        assert_eq!(remove_rootfs(&path).unwrap_err().code(), "ROOTFS_NOT_FOUND");
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert_eq!(remove_rootfs(&path).unwrap_err().code(), "ROOTFS_REMOVE_FAILED");
        assert_eq!(list_rootfs(dir.path()).unwrap(), []);
    }
}
