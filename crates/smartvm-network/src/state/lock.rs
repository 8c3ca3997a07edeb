//! Locks that are files.

use std::fs::TryLockError;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use fs_err::File;
use fs_err::os::unix::fs::OpenOptionsExt;

/// A lock that we hold, until the value goes.
///
/// It is given back by name, as a child that another thread is just making has our files open until
/// it runs its own program.
#[derive(Debug)]
pub(crate) struct HeldLock(File);

impl Drop for HeldLock {
    fn drop(&mut self) {
        // It cannot fail on a file that is open, and ends with the file otherwise.
        let _ = self.0.file().unlock();
    }
}

/// The longest note.
const NOTE: usize = 32;

impl HeldLock {
    /// What whoever had the lock before has left in its file, which is open anyway.
    pub(super) fn note(&self) -> io::Result<String> {
        let mut bytes = [0; NOTE];
        let length = self.0.file().read_at(&mut bytes, 0)?;
        Ok(String::from_utf8_lossy(&bytes[..length]).trim().to_owned())
    }

    /// Leaves a note of up to 32 bytes for the next one. Half of it may stay when we are killed.
    pub(super) fn leave(&self, note: &str) -> io::Result<()> {
        let padded = format!("{note:<NOTE$}");
        self.0.file().write_all_at(padded.as_bytes(), 0)
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = fs_err::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Whether the file is still the one at its path: who held the lock before us may have removed it.
fn is_current(file: &File) -> io::Result<bool> {
    Ok(file.file().metadata()?.nlink() > 0)
}

/// Waits for the lock.
pub(super) fn exclusive(path: &Path) -> io::Result<HeldLock> {
    loop {
        let file = open(path)?;
        file.file().lock()?;
        if is_current(&file)? {
            return Ok(HeldLock(file));
        }
    }
}

/// Takes a part in the lock, which any number may have.
pub(super) fn shared(path: &Path) -> io::Result<HeldLock> {
    loop {
        let file = open(path)?;
        file.file().lock_shared()?;
        if is_current(&file)? {
            return Ok(HeldLock(file));
        }
    }
}

/// Whether nobody has a part in the lock. The caller keeps others from taking one.
pub(super) fn is_free(path: &Path) -> io::Result<bool> {
    match fs_err::OpenOptions::new().read(true).open(path) {
        Ok(file) => match file.file().try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Whether the owner of something lives: it holds the lock at `path`.
pub(crate) fn owner_lives(path: &Path) -> io::Result<bool> {
    Ok(!is_free(path)?)
}
