//! What a child runs on while it still is a part of this program.
#![expect(unsafe_code, reason = "the child needs memory of its own with a guard below it")]

use std::ffi::c_void;
use std::io;
use std::ptr;

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

/// The child uses some hundred bytes, and some thousand when built for debugging.
const SIZE: usize = 64 * 1024;

/// At least a page on every host: most have pages of 4 KiB, some of 64 KiB.
const GUARD_SIZE: usize = 64 * 1024;

/// Memory for the child to run on. To use more of it than there is kills the child, and
/// overwrites nothing.
#[derive(Debug)]
pub(super) struct Stack {
    lowest: *mut c_void,
}

impl Stack {
    pub(super) fn new() -> io::Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: new memory at an address of the kernel's choice.
        let lowest = unsafe {
            mmap_anonymous(ptr::null_mut(), GUARD_SIZE + SIZE, access, MapFlags::PRIVATE)
        }?;
        let stack = Self { lowest };
        // SAFETY: the start of that memory, of which nothing is used yet.
        unsafe { mprotect(lowest, GUARD_SIZE, MprotectFlags::empty()) }?;
        Ok(stack)
    }

    /// Where the child begins: stacks grow downwards on all machines that Firecracker runs on.
    pub(super) const fn top(&self) -> *mut c_void {
        self.lowest.wrapping_byte_add(GUARD_SIZE + SIZE)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this size. No child runs on it: that takes a borrow.
        let unmapped = unsafe { munmap(self.lowest, GUARD_SIZE + SIZE) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}
