//! A directory that nobody but us can put files into.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

/// A directory that another user controls, or might.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnsafeDirectory {
    /// The directory could not be made or looked at.
    #[error("cannot use directory {}", path.display())]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path names something else: a file, or a symbolic link.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// The directory belongs to somebody else.
    #[error("directory {} belongs to user {owner}, not to us (user {us})", path.display())]
    ForeignOwner {
        /// The directory.
        path: PathBuf,
        /// The user who owns it.
        owner: u32,
        /// The user whom we run as.
        us: u32,
    },
    /// Others can create or replace files in the directory.
    #[error("directory {} can be written by others (mode {mode:04o})", path.display())]
    WritableByOthers {
        /// The directory, or the parent of it that is open to others.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl UnsafeDirectory {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unusable { .. } => None,
            Self::NotADirectory { path } => {
                Some(format!("name another directory, or move {} away", path.display()))
            }
            Self::ForeignOwner { .. } => {
                Some("name a directory of your own (--runtime-dir, --data-dir)".to_owned())
            }
            // Not "close it": it may be a directory that others rightly share.
            Self::WritableByOthers { .. } => Some(
                "name a directory that only you can write to (--runtime-dir, --data-dir)"
                    .to_owned(),
            ),
        }
    }
}

/// Makes sure that `path` is a directory which we own and nobody else can write to. What is missing
/// is created with mode 0700.
///
/// A parent that anybody can write to is accepted only with the sticky bit, which keeps others
/// from replacing what we made in it.
pub(crate) fn ensure_private_dir(path: &Path) -> Result<(), UnsafeDirectory> {
    let unusable = |source| UnsafeDirectory::Unusable { path: path.to_owned(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| {
        if path.exists() {
            UnsafeDirectory::NotADirectory { path: path.to_owned() }
        } else {
            unusable(source)
        }
    })?;
    let found = fs_err::symlink_metadata(path).map_err(unusable)?;
    if !found.is_dir() {
        return Err(UnsafeDirectory::NotADirectory { path: path.to_owned() });
    }
    let us = geteuid().as_raw();
    if found.uid() != us {
        return Err(UnsafeDirectory::ForeignOwner {
            path: path.to_owned(),
            owner: found.uid(),
            us,
        });
    }
    if found.mode() & 0o022 != 0 {
        let mode = found.mode() & 0o7777;
        return Err(UnsafeDirectory::WritableByOthers { path: path.to_owned(), mode });
    }
    let whole = fs_err::canonicalize(path).map_err(unusable)?;
    for parent in whole.ancestors().skip(1) {
        let mode = fs_err::metadata(parent).map_err(unusable)?.mode() & 0o7777;
        if mode & 0o002 != 0 && mode & 0o1000 == 0 {
            return Err(UnsafeDirectory::WritableByOthers { path: parent.to_owned(), mode });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_missing_directory_is_made_for_us_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b");
        ensure_private_dir(&path).unwrap();
        assert_eq!(fs_err::metadata(&path).unwrap().mode() & 0o7777, 0o700);
        ensure_private_dir(&path).unwrap();
    }

    #[test]
    fn a_directory_that_others_can_write_to_is_refused() {
        let home = tempfile::tempdir().unwrap();
        for mode in [0o777, 0o770, 0o1777] {
            set_mode(home.path(), mode);
            assert!(
                matches!(
                    ensure_private_dir(home.path()),
                    Err(UnsafeDirectory::WritableByOthers { .. })
                ),
                "mode {mode:o}"
            );
        }
    }

    #[test]
    fn a_parent_open_to_all_is_refused_unless_it_is_sticky() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("ours");
        set_mode(home.path(), 0o777);
        assert!(matches!(
            ensure_private_dir(&path),
            Err(UnsafeDirectory::WritableByOthers { path, .. }) if path == home.path()
        ));
        set_mode(home.path(), 0o1777);
        ensure_private_dir(&path).unwrap();
    }

    #[test]
    fn a_symbolic_link_or_a_file_is_no_directory_of_ours() {
        let home = tempfile::tempdir().unwrap();
        let (link, file) = (home.path().join("link"), home.path().join("file"));
        symlink(home.path(), &link).unwrap();
        fs_err::write(&file, "").unwrap();
        for path in [&link, &file] {
            assert!(matches!(ensure_private_dir(path), Err(UnsafeDirectory::NotADirectory { .. })));
        }
    }

    #[test]
    fn a_directory_of_another_user_is_refused() {
        if !geteuid().is_root() {
            // Only root can give a directory away; without it the root directory is foreign.
            assert!(matches!(
                ensure_private_dir(Path::new("/")),
                Err(UnsafeDirectory::ForeignOwner { .. })
            ));
            return;
        }
        let home = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(home.path(), Some(12345), None).unwrap();
        assert!(matches!(
            ensure_private_dir(home.path()),
            Err(UnsafeDirectory::ForeignOwner { owner: 12345, .. })
        ));
    }
}
