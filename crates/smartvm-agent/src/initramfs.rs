//! Giving back the memory that the initramfs takes.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat, unlinkat};
use rustix::io::Errno;

/// The file systems that an initramfs lives in, by `statfs`.
const RAMFS: i64 = 0x8584_58f6;
const TMPFS: i64 = 0x0102_1994;

/// Removes all that is below `root` on its own file system, and nothing when that is not one in
/// memory: a mistake here would empty somebody's drive.
pub(crate) fn empty(root: &OwnedFd) -> Result<(), Errno> {
    let kind = rustix::fs::fstatfs(root)?.f_type;
    if kind != RAMFS && kind != TMPFS {
        return Err(Errno::NOTSUP);
    }
    remove_contents(root, rustix::fs::fstat(root)?.st_dev)
}

/// An error on one entry does not keep the others; the first is given back.
fn remove_contents(directory: &OwnedFd, device: u64) -> Result<(), Errno> {
    let mut outcome = Ok(());
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let removed = remove_entry(directory, name, device);
        outcome = outcome.and(removed);
    }
    outcome
}

fn remove_entry(directory: &OwnedFd, name: &std::ffi::CStr, device: u64) -> Result<(), Errno> {
    let status = statat(directory.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW)?;
    // Something is mounted here.
    if status.st_dev != device {
        return Ok(());
    }
    if FileType::from_raw_mode(status.st_mode) != FileType::Directory {
        return unlinkat(directory, name, AtFlags::empty());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    remove_contents(&openat(directory, name, flags, Mode::empty())?, device)?;
    match unlinkat(directory, name, AtFlags::REMOVEDIR) {
        // The place of a mount, or the parent of one.
        Err(Errno::BUSY | Errno::NOTEMPTY) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "fs_err is not among this program's dependencies")]
mod tests {
    use std::path::Path;

    use super::*;

    fn open(path: &Path) -> OwnedFd {
        rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap()
    }

    #[test]
    fn everything_below_goes_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let kept = dir.path().join("kept");
        let doomed = dir.path().join("doomed");
        std::fs::create_dir_all(doomed.join("a/b/c")).unwrap();
        std::fs::create_dir(&kept).unwrap();
        std::fs::write(kept.join("file"), "x").unwrap();
        std::fs::write(doomed.join("a/b/file"), "x").unwrap();
        std::os::unix::fs::symlink(&kept, doomed.join("a/link")).unwrap();
        let root = open(&doomed);
        remove_contents(&root, rustix::fs::fstat(&root).unwrap().st_dev).unwrap();
        assert_eq!(std::fs::read_dir(&doomed).unwrap().count(), 0);
        assert!(kept.join("file").exists());
    }

    #[test]
    fn what_is_on_another_device_stays() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "x").unwrap();
        let root = open(dir.path());
        let other_device = rustix::fs::fstat(&root).unwrap().st_dev + 1;
        remove_contents(&root, other_device).unwrap();
        assert!(dir.path().join("file").exists());
    }

    #[test]
    fn a_file_system_that_is_not_in_memory_is_left_alone() {
        let proc = open(Path::new("/proc/self"));
        assert_eq!(empty(&proc), Err(Errno::NOTSUP));
    }
}
