//! Whether a jail fits where it is to be made.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::statvfs;

/// Besides Firecracker's program: directories, device nodes, pipes.
const SLACK: u64 = 256 * 1024;

/// The directories, device nodes, pipes and links of a jail, some 20, and those of a few drives.
const INODES: u64 = 32;

/// There is no room for a jail. Code `JAIL_NO_SPACE`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a jail needs {needed} {of}, and {} has {available}", dir.display())]
pub struct NoRoomForJail {
    /// The directory of jails.
    pub dir: PathBuf,
    /// How much of it.
    pub needed: u64,
    /// How much there is.
    pub available: u64,
    /// Of what: bytes or files.
    pub of: &'static str,
}

impl NoRoomForJail {
    pub(super) fn hint(&self) -> String {
        "make room there, or name another directory for jails (`--jail-dir`, `chrootBaseDir`)"
            .to_owned()
    }
}

/// Looks for room for a jail whose program has this size. What the jailer would say is a panic.
pub(super) fn check_room(dir: &Path, program: u64) -> io::Result<Result<(), NoRoomForJail>> {
    let volume = statvfs(dir)?;
    let bytes = volume.f_bavail.saturating_mul(volume.f_frsize);
    // Some file systems do not count their files, and say 0.
    let inodes = (volume.f_files > 0).then_some(volume.f_favail);
    Ok(judge(dir, program.saturating_add(SLACK), bytes, inodes))
}

fn judge(dir: &Path, needed: u64, bytes: u64, inodes: Option<u64>) -> Result<(), NoRoomForJail> {
    let lacking = |needed, available, of| NoRoomForJail { dir: dir.into(), needed, available, of };
    if bytes < needed {
        return Err(lacking(needed, bytes, "bytes"));
    }
    match inodes.filter(|inodes| *inodes < INODES) {
        Some(inodes) => Err(lacking(INODES, inodes, "files")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_of_either_is_told_with_the_figures() {
        let dir = Path::new("/jails");
        assert_eq!(judge(dir, 100, 100, Some(32)), Ok(()));
        assert_eq!(judge(dir, 100, 100, None), Ok(()));
        let error = judge(dir, 100, 99, None).unwrap_err();
        assert_eq!(error.to_string(), "a jail needs 100 bytes, and /jails has 99");
        let error = judge(dir, 100, 100, Some(12)).unwrap_err();
        assert_eq!(error.to_string(), "a jail needs 32 files, and /jails has 12");
    }
}
