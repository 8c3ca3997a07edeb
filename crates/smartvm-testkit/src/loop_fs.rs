//! File systems of a test's own, on loop devices or in memory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A mounted file system that is unmounted, and its loop device freed, when it is dropped. Needs
/// root.
#[derive(Debug)]
pub struct LoopFs {
    mount_dir: PathBuf,
    /// What it is in; dropped after it is unmounted.
    _dir: tempfile::TempDir,
}

impl LoopFs {
    /// A new XFS, which shares blocks between files, of `size_mib` MiB (300 at least).
    #[must_use]
    #[track_caller]
    pub fn xfs(size_mib: u64) -> Self {
        Self::made_by("mkfs.xfs", &["-q", "-m", "reflink=1"], size_mib)
    }

    /// A new btrfs, which shares blocks between files, of `size_mib` MiB (128 at least).
    #[must_use]
    #[track_caller]
    pub fn btrfs(size_mib: u64) -> Self {
        Self::made_by("mkfs.btrfs", &["-q"], size_mib)
    }

    /// A new ext4, which shares nothing between files.
    #[must_use]
    #[track_caller]
    pub fn ext4(size_mib: u64) -> Self {
        Self::made_by("mkfs.ext4", &["-q", "-F"], size_mib)
    }

    /// A file system in memory of this many bytes.
    #[must_use]
    #[track_caller]
    pub fn memory(size: u64) -> Self {
        Self::mounted(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], None)
    }

    /// A file system in memory with room for this many files and directories, its own included.
    #[must_use]
    #[track_caller]
    pub fn files(count: u64) -> Self {
        Self::mounted(&["-t", "tmpfs", "-o", &format!("nr_inodes={count}"), "tmpfs"], None)
    }

    /// What an image holds, read-only.
    #[must_use]
    #[track_caller]
    pub fn of_image(image: &Path) -> Self {
        Self::mounted(&["-o", "loop,ro"], Some(image))
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.mount_dir
    }

    #[track_caller]
    fn made_by(program: &str, args: &[&str], size_mib: u64) -> Self {
        let dir = new_dir();
        let image = dir.path().join("image");
        let file = fs_err::File::create_new(&image).expect("a test can make a file");
        file.set_len(size_mib << 20).expect("a sparse file can have any size");
        run(Command::new(program).args(args).arg(&image));
        Self::mounted_in(dir, &["-o", "loop"], Some(&image))
    }

    #[track_caller]
    fn mounted(args: &[&str], image: Option<&Path>) -> Self {
        Self::mounted_in(new_dir(), args, image)
    }

    #[track_caller]
    fn mounted_in(dir: tempfile::TempDir, args: &[&str], image: Option<&Path>) -> Self {
        let mount_dir = dir.path().join("mnt");
        fs_err::create_dir(&mount_dir).expect("a new directory can be filled");
        run(Command::new("mount").args(args).args(image).arg(&mount_dir));
        Self { mount_dir, _dir: dir }
    }
}

impl Drop for LoopFs {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.mount_dir).status();
        if !unmounted.is_ok_and(|status| status.success()) && !std::thread::panicking() {
            panic!("{} is still in use", self.mount_dir.display());
        }
    }
}

/// On a disk: an image in memory would take twice what is put into it.
#[track_caller]
fn new_dir() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("svt-fs-").tempdir().expect("a test can make a directory")
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| {
        panic!("{command:?}: {error}: `cargo xtask test` installs what tests run")
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed, which needs root: {said}");
}
