//! The lock on an image.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, retry_on_intr};
use thiserror::Error;

use super::holder::{Holder, sign};

/// What an image is used for while its lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Alone,
    WithReaders,
}

/// An image in use. Dropping it ends that, at once.
#[derive(Debug)]
pub struct ImageLock {
    file: fs_err::File,
    /// Says to others who we are. Held, not read.
    _sign: Option<OwnedFd>,
}

/// The reason why an image cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImageLockError {
    /// Somebody uses it in a way that does not go together with this one.
    #[error("`{}` is in use by {by}", path.display())]
    InUse {
        /// The image.
        path: PathBuf,
        /// Who, as far as that can be told.
        by: String,
    },
    /// It cannot be opened or locked.
    #[error("failed to lock `{}`", path.display())]
    Io {
        /// The image.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl ImageLockError {
    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "IMAGE_IN_USE",
            Self::Io { .. } => "IMAGE_LOCK_FAILED",
        }
    }

    /// What the person who asked for it can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::InUse { .. } => {
                Some("end what uses it first, or work on a copy of it".to_owned())
            }
            Self::Io { .. } => None,
        }
    }
}

impl ImageLock {
    /// Takes an image for itself alone, to write to it, to replace or to remove it. `who` is what others are told
    /// who find it in use, such as "VM `web`".
    ///
    /// Never waits. An image that is locked may be an image file or a block device; it is not opened for writing.
    ///
    /// # Errors
    /// `IMAGE_IN_USE` while anybody uses it; `IMAGE_LOCK_FAILED` when it cannot be opened.
    pub fn to_write(path: &Path, who: &str) -> Result<Self, ImageLockError> {
        Self::take(path, who, Sharing::Alone)
    }

    /// Takes an image to read it, together with others who do.
    ///
    /// # Errors
    /// `IMAGE_IN_USE` while somebody writes to it; `IMAGE_LOCK_FAILED` when it cannot be opened.
    pub fn to_read(path: &Path, who: &str) -> Result<Self, ImageLockError> {
        Self::take(path, who, Sharing::WithReaders)
    }

    /// The file that is locked, whatever has its name by now.
    pub fn metadata(&self) -> io::Result<std::fs::Metadata> {
        self.file.metadata()
    }

    fn take(path: &Path, who: &str, sharing: Sharing) -> Result<Self, ImageLockError> {
        let failed = |source| ImageLockError::Io { path: path.to_owned(), source };
        let operation = match sharing {
            Sharing::Alone => FlockOperation::NonBlockingLockExclusive,
            Sharing::WithReaders => FlockOperation::NonBlockingLockShared,
        };
        loop {
            let file = open(path).map_err(failed)?;
            match retry_on_intr(|| flock(&file, operation)) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => {
                    let found = file.metadata().map_err(failed)?;
                    let by = Holder::of(&found).to_string();
                    return Err(ImageLockError::InUse { path: path.to_owned(), by });
                }
                // A file system without locks has none that somebody else could hold.
                Err(Errno::OPNOTSUPP | Errno::NOLCK) => return Ok(Self { file, _sign: None }),
                Err(errno) => return Err(failed(errno.into())),
            }
            let found = file.metadata().map_err(failed)?;
            // It may have been replaced before its lock was had.
            match fs_err::metadata(path) {
                Ok(there) if (there.dev(), there.ino()) != (found.dev(), found.ino()) => {}
                Ok(_) => {
                    return Ok(Self { file, _sign: sign(&found, who).ok() });
                }
                Err(source) => return Err(failed(source)),
            }
        }
    }
}

impl Drop for ImageLock {
    fn drop(&mut self) {
        // A program that is being started right now may have the file for a moment too.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

fn open(path: &Path) -> io::Result<fs_err::File> {
    use fs_err::os::unix::fs::OpenOptionsExt as _;
    // A pipe without a writer would block the open for ever.
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    fs_err::OpenOptions::new().read(true).custom_flags(nonblock).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        fs_err::write(&path, "image").unwrap();
        (dir, path)
    }

    fn user_of(error: ImageLockError) -> String {
        match error {
            ImageLockError::InUse { by, .. } => by,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_writes_or_many_read_and_whoever_is_refused_hears_who_does() {
        let (dir, path) = image();
        let writer = ImageLock::to_write(&path, "VM `web`").unwrap();
        let by = user_of(ImageLock::to_read(&path, "a reader").unwrap_err());
        assert_eq!(by, format!("VM `web` of process {}", std::process::id()));
        // Whatever its name is.
        let link = dir.path().join("link");
        fs_err::hard_link(&path, &link).unwrap();
        assert!(user_of(ImageLock::to_write(&link, "another").unwrap_err()).contains("`web`"));
        drop(writer);
        let readers = [(); 2].map(|()| ImageLock::to_read(&path, "VM `reader`").unwrap());
        assert!(user_of(ImageLock::to_write(&path, "x").unwrap_err()).contains("VM `reader`"));
        drop(readers);
        ImageLock::to_write(&path, "x").unwrap();
    }

    #[test]
    fn another_process_s_use_is_told_and_ends_with_it() {
        let (_dir, path) = image();
        let mut holder = std::process::Command::new("flock")
            .arg(&path)
            .args(["-c", "echo held; read _"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = std::io::BufReader::new(holder.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
        let by = user_of(ImageLock::to_read(&path, "x").unwrap_err());
        assert!(by.contains("process") || by == "another process", "{by}");
        drop(holder.stdin.take());
        holder.wait().unwrap();
        ImageLock::to_write(&path, "x").unwrap();
    }

    #[test]
    fn what_is_not_there_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing");
        let error = ImageLock::to_write(&missing, "x").unwrap_err();
        assert_eq!(error.code(), "IMAGE_LOCK_FAILED");
        assert!(!missing.exists());
    }
}
