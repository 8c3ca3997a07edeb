//! Locks that several processes share, by files in a directory of ours.

use std::fs::TryLockError;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use fs_err::File;
use rustix::fs::OFlags;

use crate::give_up::is_given_up;
use crate::holder::Holder;
use crate::private_dir::PrivateDir;

/// How long a lock is waited for that others hold for moments only.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two tries, at first and at most: the kernel has no wait for such a lock that ends by itself.
const PAUSES: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(2));

/// A lock that we hold, until the value goes.
///
/// It is given back by name, as a child that another thread is just making has our files open until
/// it runs its own program.
#[derive(Debug)]
pub struct HeldLock(File);

/// What was found of a lock that nobody waits for.
#[derive(Debug)]
#[non_exhaustive]
pub enum LockState {
    /// There is no such file.
    Missing,
    /// Somebody has it.
    Held,
    /// Nobody had it, and we have now.
    Ours(HeldLock),
}

/// A lock that others hold for moments only is not given back. Code `HOST_LOCK_BUSY`.
#[derive(Debug, thiserror::Error)]
#[error("the lock {} was not given back within {} s{}", path.display(), PATIENCE.as_secs(), by(holders))]
pub struct HostLockBusy {
    /// The lock.
    pub path: PathBuf,
    holders: Vec<Holder>,
}

impl HostLockBusy {
    /// The stable code of the error.
    pub const CODE: &str = "HOST_LOCK_BUSY";

    /// The one that an error of the system stands for.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self.holders.first() {
            None => format!("see with `fuser {}` who has it", self.path.display()),
            Some(holder) if holder.is_stopped() => {
                format!("let process {0} go on (`kill -CONT {0}`), or end it", holder.pid)
            }
            Some(holder) => format!("see what process {} waits for, or end it", holder.pid),
        }
    }

    /// The processes that had the lock at last, as far as they could be seen.
    pub fn holders(&self) -> impl Iterator<Item = u32> + '_ {
        self.holders.iter().map(|holder| holder.pid)
    }
}

fn by(holders: &[Holder]) -> String {
    if holders.is_empty() {
        return String::new();
    }
    let all: Vec<_> = holders.iter().map(ToString::to_string).collect();
    format!("; it is held by {}", all.join(", "))
}

/// The longest note.
const NOTE: usize = 32;

impl HeldLock {
    /// What whoever had the lock before has left in its file, which is open anyway.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn note(&self) -> io::Result<String> {
        let mut bytes = [0; NOTE];
        let length = self.0.file().read_at(&mut bytes, 0)?;
        Ok(String::from_utf8_lossy(&bytes[..length]).trim().to_owned())
    }

    /// Leaves a note of up to 32 bytes for the next one. Half of it may stay when we are killed.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn leave(&self, note: &str) -> io::Result<()> {
        let padded = format!("{note:<NOTE$}");
        self.0.file().write_all_at(padded.as_bytes(), 0)
    }
}

impl HeldLock {
    /// Writes `content` into the lock's file in place of what is there. Half of it may stay when we are
    /// killed, and the lock is free then.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn fill(&self, content: &[u8]) -> io::Result<()> {
        self.0.file().set_len(0)?;
        self.0.file().write_all_at(content, 0)
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        // It cannot fail on a file that is open, and ends with the file otherwise.
        let _ = self.0.file().unlock();
    }
}

impl PrivateDir {
    /// Waits for the lock `name`, which is made when it is missing, for five seconds at most, and not after it
    /// was given up ([`GiveUp`](crate::GiveUp)).
    ///
    /// # Errors
    /// [`HostLockBusy`] when it is not given back, within the error; `Interrupted` when it was given up; and
    /// what the system refuses.
    pub fn lock(&self, name: impl AsRef<Path>) -> io::Result<HeldLock> {
        self.lock_until(name.as_ref(), File::try_lock_exclusively)
    }

    /// Waits for a part in the lock, which any number may have.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    pub fn lock_shared(&self, name: impl AsRef<Path>) -> io::Result<HeldLock> {
        self.lock_until(name.as_ref(), File::try_lock_with_others)
    }

    /// Takes the lock if nobody has it. A lock that is missing stays so.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn try_lock(&self, name: impl AsRef<Path>) -> io::Result<LockState> {
        let file = match self.open(name, OFlags::RDWR) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(LockState::Missing),
            opened => opened?,
        };
        match file.file().try_lock() {
            Ok(()) => Ok(LockState::Ours(HeldLock(file))),
            Err(TryLockError::WouldBlock) => Ok(LockState::Held),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Makes the lock `name`, which nobody knows of yet, and takes it.
    ///
    /// # Errors
    /// When it is there already, or the system refuses.
    pub fn create_lock(&self, name: impl AsRef<Path>) -> io::Result<HeldLock> {
        let file = self.open(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)?;
        file.file().try_lock().map_err(io::Error::other)?;
        Ok(HeldLock(file))
    }

    fn lock_until(
        &self,
        name: &Path,
        try_once: fn(&File) -> Result<(), TryLockError>,
    ) -> io::Result<HeldLock> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = PAUSES.0;
        loop {
            let file = self.open(name, OFlags::RDWR | OFlags::CREATE)?;
            while let Err(error) = try_once(&file) {
                match error {
                    TryLockError::Error(error) => return Err(error),
                    TryLockError::WouldBlock if is_given_up() => {
                        return Err(io::ErrorKind::Interrupted.into());
                    }
                    TryLockError::WouldBlock if Instant::now() < deadline => {}
                    TryLockError::WouldBlock => {
                        let holders = Holder::all_of(&file);
                        let busy = HostLockBusy { path: self.path().join(name), holders };
                        return Err(io::Error::new(io::ErrorKind::TimedOut, busy));
                    }
                }
                thread::sleep(pause);
                pause = (pause * 2).min(PAUSES.1);
            }
            // Who held the lock before us may have removed it.
            if file.file().metadata()?.nlink() > 0 {
                return Ok(HeldLock(file));
            }
        }
    }
}

trait TryLock {
    fn try_lock_exclusively(&self) -> Result<(), TryLockError>;
    fn try_lock_with_others(&self) -> Result<(), TryLockError>;
}

impl TryLock for File {
    fn try_lock_exclusively(&self) -> Result<(), TryLockError> {
        self.file().try_lock()
    }

    fn try_lock_with_others(&self) -> Result<(), TryLockError> {
        self.file().try_lock_shared()
    }
}

#[cfg(test)]
mod tests;
