//! Keeping a file system from being filled.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::{fstatfs, fstatvfs};

use thiserror::Error;

/// What is left to others: a twentieth of the file system, and this at most.
const MAX_RESERVE: u64 = 1 << 30;
/// `TMPFS_MAGIC` of `linux/magic.h`: a file system in memory.
const TMPFS: i64 = 0x0102_1994;

/// How much can be written where something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeSpace {
    /// The bytes that are free; in memory no more than can be used without swapping.
    pub free: u64,
    /// How many of them are left to others by whoever need not have them all: a twentieth of the file
    /// system, and 1 GiB at most.
    pub reserve: u64,
}

impl FreeSpace {
    /// Looks at the file system that `file` is on.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn at(file: impl AsFd) -> io::Result<Self> {
        let volume = fstatvfs(&file)?;
        let mut free = volume.f_bavail.saturating_mul(volume.f_frsize);
        if fstatfs(&file)?.f_type == TMPFS {
            free = free.min(available_memory().unwrap_or(u64::MAX));
        }
        let size = volume.f_blocks.saturating_mul(volume.f_frsize);
        Ok(Self { free, reserve: reserve_of(size) })
    }
}

const fn reserve_of(size: u64) -> u64 {
    let part = size / 20;
    if part < MAX_RESERVE { part } else { MAX_RESERVE }
}

/// How much memory can be used without swapping, in bytes, as the kernel reckons it.
fn available_memory() -> Option<u64> {
    let text = fs_err::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// How much is written between two looks.
const STEP: u64 = 16 << 20;

/// A file system has too little space left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{free} bytes are free where it is written, and {reserve} of them stay free for others")]
pub(crate) struct NoSpaceLeft {
    free: u64,
    reserve: u64,
}

impl NoSpaceLeft {
    pub(crate) const HINT: &str = "free space where it is made, or choose another place";
}

/// A look at the free space each few MiB that are written.
#[derive(Debug, Default)]
pub(crate) struct SpaceWatch {
    unseen: u64,
}

impl SpaceWatch {
    /// Tells that `bytes` are about to be written where `file` is.
    ///
    /// # Errors
    /// When they, and what was not looked at since the last look, would take what stays free. The
    /// reason is a [`NoSpaceLeft`].
    pub(crate) fn before(&mut self, file: impl AsFd, bytes: u64) -> io::Result<()> {
        self.unseen = self.unseen.saturating_add(bytes);
        if self.unseen < STEP {
            return Ok(());
        }
        self.unseen = 0;
        let volume = rustix::fs::fstatvfs(file)?;
        let block = volume.f_frsize;
        check(volume.f_bavail.saturating_mul(block), volume.f_blocks.saturating_mul(block))
            .map_err(|error| io::Error::new(io::ErrorKind::StorageFull, error))
    }
}

fn check(free: u64, size: u64) -> Result<(), NoSpaceLeft> {
    let reserve = reserve_of(size);
    // The next step may be written before the next look.
    if free < reserve.saturating_add(STEP) { Err(NoSpaceLeft { free, reserve }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twentieth_stays_free_and_a_gibibyte_at_most() {
        const GIB: u64 = 1 << 30;
        check(2 * GIB, 1000 * GIB).unwrap();
        let error = check(GIB, 1000 * GIB).unwrap_err();
        assert_eq!(error, NoSpaceLeft { free: GIB, reserve: GIB });
        check(GIB / 10, GIB).unwrap();
        assert_eq!(check(GIB / 20, GIB).unwrap_err().reserve, GIB / 20);
    }
}
