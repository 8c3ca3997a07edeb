//! Whether the owner of something lives.

use std::fs::TryLockError;
use std::io;

use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::OFlags;
use smartvm_dir::ProcessIdentity;

use super::guest_record::GuestRecord;

/// Whether the owner of a guest lives: it holds its lock, or is a process that has not ended. That a lock
/// is gone says nothing, as anybody who may clean up a directory can remove it.
pub(crate) fn owner_lives(guest: &GuestRecord) -> io::Result<bool> {
    let mut options = fs_err::OpenOptions::new();
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let lock = options.read(true).custom_flags(flags.bits().cast_signed()).open(&guest.owner);
    let held = match lock {
        Ok(file) => match file.file().try_lock() {
            Ok(()) => false,
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(error)) => return Err(error),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    let lives = || guest.owner_process.as_ref().map(ProcessIdentity::lives).transpose();
    Ok(held || lives()?.unwrap_or(false))
}
