//! Signals of the agent, as a descriptor to wait for.

#![expect(unsafe_code, reason = "rustix has no descriptor for signals")]

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

/// Children that ended, and the wish that the agent ends.
const HEEDED: [libc::c_int; 3] = [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT];

/// The signals that the agent heeds, blocked everywhere else.
#[derive(Debug)]
pub(crate) struct Signals {
    descriptor: OwnedFd,
}

/// What signals have said.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) child: bool,
    pub(crate) end: bool,
}

impl Signals {
    /// Blocks them for this thread and those that it will make.
    pub(crate) fn heed() -> Result<Self, Errno> {
        // SAFETY: a set of zeroes is an empty one, and the calls read and write it and nothing else. The descriptor is
        // new and ours.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            for signal in HEEDED {
                libc::sigaddset(&raw mut set, signal);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
            match libc::signalfd(-1, &raw const set, flags) {
                -1 => {
                    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
                }
                descriptor => Ok(Self { descriptor: OwnedFd::from_raw_fd(descriptor) }),
            }
        }
    }

    /// What has come since the last look.
    pub(crate) fn take(&self) -> Heard {
        const SIZE: usize = size_of::<libc::signalfd_siginfo>();
        let mut heard = Heard::default();
        let mut records = [0; 16 * SIZE];
        while let Ok(length @ 1..) = rustix::io::read(&self.descriptor, &mut records) {
            for record in records[..length].chunks_exact(SIZE) {
                // The number is the first field of a record.
                match i32::from_ne_bytes([record[0], record[1], record[2], record[3]]) {
                    libc::SIGCHLD => heard.child = true,
                    _ => heard.end = true,
                }
            }
        }
        heard
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
