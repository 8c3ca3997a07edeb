//! Where the programs are.

use std::ffi::OsStr;
use std::path::PathBuf;

use rustix::fs::{Access, access};

/// Where Debian and others put the programs of the system, which a user's `PATH` may not name.
const SYSTEM_DIRS: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// A program, and the Debian package that brings it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
}

impl Tool {
    pub(crate) const MKFS_EXT4: Self = Self { program: "mkfs.ext4", package: "e2fsprogs" };
    pub(crate) const E2FSCK: Self = Self { program: "e2fsck", package: "e2fsprogs" };
    pub(crate) const RESIZE2FS: Self = Self { program: "resize2fs", package: "e2fsprogs" };
    pub(crate) const DEBUGFS: Self = Self { program: "debugfs", package: "e2fsprogs" };
    pub(crate) const MKSQUASHFS: Self = Self { program: "mksquashfs", package: "squashfs-tools" };
}

/// The directories in which the host's file system programs are looked for: `mkfs.ext4`, `e2fsck`,
/// `resize2fs`, `debugfs` (Debian's e2fsprogs) and `mksquashfs` (squashfs-tools).
///
/// By default the system's own directories, whatever the environment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostTools {
    dirs: Vec<PathBuf>,
}

impl Default for HostTools {
    fn default() -> Self {
        Self { dirs: SYSTEM_DIRS.map(PathBuf::from).to_vec() }
    }
}

impl HostTools {
    /// Looks in the absolute directories of a `PATH` first, and then in the system's own.
    #[must_use]
    pub fn on_path(path_var: &OsStr) -> Self {
        let named = std::env::split_paths(path_var).filter(|dir| dir.is_absolute());
        Self { dirs: named.chain(SYSTEM_DIRS.map(PathBuf::from)).collect() }
    }

    /// Looks in these directories alone.
    #[must_use]
    pub fn only_in(dirs: Vec<PathBuf>) -> Self {
        Self { dirs }
    }

    pub(super) fn find(&self, tool: Tool) -> Option<PathBuf> {
        let mut files = self.dirs.iter().map(|dir| dir.join(tool.program));
        files.find(|file| file.is_file() && access(file, Access::EXEC_OK).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_the_path_come_first_and_relative_ones_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e2fsck");
        fs_err::write(&path, "#!/bin/sh\n").unwrap();
        let path_var = std::env::join_paths([std::path::Path::new("."), dir.path()]).unwrap();
        let tools = HostTools::on_path(&path_var);
        assert_eq!(tools.dirs[0], dir.path());
        // It is not a program yet.
        assert_ne!(tools.find(Tool::E2FSCK).as_ref(), Some(&path));
        fs_err::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        assert_eq!(tools.find(Tool::E2FSCK), Some(path));
        assert_eq!(HostTools::only_in(Vec::new()).find(Tool::E2FSCK), None);
    }
}
