//! The calls that fill pages, from `linux/userfaultfd.h`.
#![expect(unsafe_code, reason = "neither std nor rustix knows these calls")]

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::ioctl::{Updater, ioctl, opcode};

/// The number of userfaultfd's calls.
const UFFDIO: u8 = 0xAA;

#[repr(C)]
struct Range {
    start: u64,
    length: u64,
}

#[repr(C)]
struct Copy {
    to: u64,
    from: u64,
    length: u64,
    mode: u64,
    copied: i64,
}

#[repr(C)]
struct ZeroPage {
    range: Range,
    mode: u64,
    filled: i64,
}

/// Fills the missing page at `address` of the other process with `content`, and wakes who waits for
/// it.
pub(super) fn copy(uffd: BorrowedFd<'_>, address: u64, content: &[u8]) -> Result<(), Errno> {
    let mut request = Copy {
        to: address,
        from: content.as_ptr().addr() as u64,
        length: content.len() as u64,
        mode: 0,
        copied: 0,
    };
    // SAFETY: the number and the form are those of UFFDIO_COPY. The kernel reads `length` bytes at
    // `from`, which `content` borrows for the call, and writes only to the request and to memory of
    // the process that registered it with this descriptor.
    unsafe {
        ioctl(uffd, Updater::<{ opcode::read_write::<Copy>(UFFDIO, 0x03) }, _>::new(&mut request))
    }
}

/// Fills the missing pages from `address` on with zeros, and wakes who waits for them.
pub(super) fn zero(uffd: BorrowedFd<'_>, address: u64, length: u64) -> Result<(), Errno> {
    let mut request = ZeroPage { range: Range { start: address, length }, mode: 0, filled: 0 };
    // SAFETY: the number and the form are those of UFFDIO_ZEROPAGE, which writes only to the request
    // and to memory of the process that registered it with this descriptor.
    unsafe {
        let call =
            Updater::<{ opcode::read_write::<ZeroPage>(UFFDIO, 0x04) }, _>::new(&mut request);
        ioctl(uffd, call)
    }
}

/// Wakes who waits for pages that are there.
pub(super) fn wake(uffd: BorrowedFd<'_>, address: u64, length: u64) -> Result<(), Errno> {
    let mut request = Range { start: address, length };
    // SAFETY: the number and the form are those of UFFDIO_WAKE, which writes nothing.
    unsafe { ioctl(uffd, Updater::<{ opcode::read::<Range>(UFFDIO, 0x02) }, _>::new(&mut request)) }
}
