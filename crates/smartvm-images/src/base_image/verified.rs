//! Whether a bundle's files are what they must be.

use std::io;
use std::path::{Path, PathBuf};

use super::bundle::BundleFile;
use crate::{FileStamp, Sha256Digest, VerifiedFiles};

/// The file that says which were found right. No artifact is called so: its name has a tilde.
const FILE: &str = "~verified.json";

/// What is known of a bundle's files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Verified(VerifiedFiles);

/// Whether files are hashed although nothing has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verify {
    /// Only files that have changed since they were last found right.
    #[default]
    IfChanged,
    /// All.
    Always,
}

/// The reason why a file of a bundle is not what it must be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DamagedFile {
    /// It is not there, or cannot be read.
    #[error("failed to look at `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is no regular file.
    #[error("`{}` is not a regular file", path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// It has another size.
    #[error("`{}` has {found} bytes and not {expected}", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// The size that was recorded.
        expected: u64,
        /// The size it has.
        found: u64,
    },
    /// It cannot be hashed.
    #[error(transparent)]
    Read(#[from] crate::ReadFileError),
    /// It hashes to something else.
    #[error("`{}` has the SHA-256 {found} and not {expected}", path.display())]
    Hash {
        /// The file.
        path: PathBuf,
        /// The hash that was recorded.
        expected: Sha256Digest,
        /// The hash it has.
        found: Sha256Digest,
    },
}

impl Verified {
    /// What is recorded in the bundle `dir`. Without it, or when it cannot be read, nothing was
    /// verified yet.
    pub(super) fn read(dir: &Path) -> Self {
        Self(VerifiedFiles::read(&dir.join(FILE)))
    }

    /// Records them in the bundle `dir`.
    pub(super) fn write(&self, dir: &Path) -> io::Result<()> {
        self.0.write(&dir.join(FILE))
    }

    /// Makes sure that the files in `dir` are what they must be, and takes note of it. Blocks.
    pub(super) fn check(
        &mut self,
        dir: &Path,
        files: &[BundleFile],
        verify: Verify,
    ) -> Result<(), DamagedFile> {
        files.iter().try_for_each(|file| self.check_file(dir, file, verify))
    }

    fn check_file(
        &mut self,
        dir: &Path,
        file: &BundleFile,
        verify: Verify,
    ) -> Result<(), DamagedFile> {
        let path = dir.join(file.name.as_str());
        let before = stamp(&path)?;
        if before.size() != file.size {
            return Err(DamagedFile::Size { path, expected: file.size, found: before.size() });
        }
        let name = file.name.as_str();
        if verify == Verify::IfChanged && self.0.vouch_for(name, &before, &file.sha256) {
            return Ok(());
        }
        let found = Sha256Digest::of_file(&path)?;
        if found != file.sha256 {
            return Err(DamagedFile::Hash { path, expected: file.sha256, found });
        }
        if before == stamp(&path)? {
            self.0.note(name, before, found);
        }
        Ok(())
    }

    /// Takes note that the files in `dir` were just written and are what they must be. Nobody else
    /// knows of them yet. Waits until a later change of them would show.
    pub(super) fn note_new(&mut self, dir: &Path, files: &[BundleFile]) -> Result<(), DamagedFile> {
        for file in files {
            let stamp = stamp(&dir.join(file.name.as_str()))?;
            stamp.settle();
            self.0.note(file.name.as_str(), stamp, file.sha256);
        }
        Ok(())
    }
}

fn stamp(path: &Path) -> Result<FileStamp, DamagedFile> {
    let found = fs_err::symlink_metadata(path)
        .map_err(|source| DamagedFile::Io { path: path.to_owned(), source })?;
    if !found.is_file() {
        return Err(DamagedFile::NotRegular { path: path.to_owned() });
    }
    Ok(FileStamp::from(&found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_shows_even_with_the_old_size_and_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rootfs.ext4");
        fs_err::write(&path, "one").unwrap();
        let sha256 = Sha256Digest::of(b"one");
        let files = [BundleFile { name: "rootfs.ext4".parse().unwrap(), sha256, size: 3 }];
        let mut verified = Verified::default();
        verified.note_new(dir.path(), &files).unwrap();
        verified.write(dir.path()).unwrap();
        let mut verified = Verified::read(dir.path());
        assert_ne!(verified, Verified::default());
        verified.check(dir.path(), &files, Verify::IfChanged).unwrap();

        let then = fs_err::metadata(&path).unwrap().modified().unwrap();
        fs_err::write(&path, "two").unwrap();
        let file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
        file.file().set_modified(then).unwrap();
        let error = verified.check(dir.path(), &files, Verify::IfChanged).unwrap_err();
        assert!(matches!(error, DamagedFile::Hash { .. }), "{error}");
    }

    #[test]
    fn what_is_recorded_saves_the_hashing_and_verify_always_does_not() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("vmlinux"), "one").unwrap();
        // A hash that the file never had: only who believes the record takes it.
        let sha256 = Sha256Digest::of(b"two");
        let files = [BundleFile { name: "vmlinux".parse().unwrap(), sha256, size: 3 }];
        let mut verified = Verified::default();
        verified.note_new(dir.path(), &files).unwrap();
        verified.check(dir.path(), &files, Verify::IfChanged).unwrap();
        let error = verified.check(dir.path(), &files, Verify::Always).unwrap_err();
        assert!(matches!(error, DamagedFile::Hash { .. }), "{error}");
    }

    #[test]
    fn a_link_or_another_size_is_not_the_file() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("real"), "one").unwrap();
        std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
        let sha256 = Sha256Digest::of(b"one");
        let check = |name: &str, size| {
            let files = [BundleFile { name: name.parse().unwrap(), sha256, size }];
            Verified::default().check(dir.path(), &files, Verify::IfChanged)
        };
        check("real", 3).unwrap();
        assert!(matches!(check("real", 4), Err(DamagedFile::Size { .. })));
        assert!(matches!(check("link", 3), Err(DamagedFile::NotRegular { .. })));
        assert!(matches!(check("none", 3), Err(DamagedFile::Io { .. })));
    }
}
