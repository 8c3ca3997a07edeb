//! Memory that is given to a guest.

use std::ffi::c_void;
use std::io;
use std::ptr::{self, NonNull};
use std::slice;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// A private mapping filled with zeroes; unmapped on drop.
pub(super) struct GuestMemory {
    start: NonNull<c_void>,
    size: usize,
}

// SAFETY: the mapping belongs to no thread.
#[expect(unsafe_code, reason = "a raw pointer says nothing about threads")]
unsafe impl Send for GuestMemory {}
impl GuestMemory {
    pub(super) fn allocate(size: usize) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        #[expect(unsafe_code, reason = "a mapping is made by a system call")]
        // SAFETY: without a wanted address the kernel picks one where nothing is mapped.
        let start =
            unsafe { mmap_anonymous(ptr::null_mut(), size, protection, MapFlags::PRIVATE)? };
        let start = NonNull::new(start).expect("the kernel maps nothing at address 0");
        Ok(Self { start, size })
    }

    /// Writes `bytes` at the guest's `address`.
    pub(super) fn write(&mut self, address: u64, bytes: &[u8]) {
        #[expect(unsafe_code, reason = "the mapping is only known by its address")]
        // SAFETY: the mapping is `size` bytes long, readable, and borrowed exclusively.
        let memory = unsafe { slice::from_raw_parts_mut(self.start.as_ptr().cast(), self.size) };
        let address = usize::try_from(address).expect("guest memory is part of our own");
        memory[address..address + bytes.len()].copy_from_slice(bytes);
    }

    /// Where the mapping is in this process.
    pub(super) fn address(&self) -> u64 {
        self.start.as_ptr() as u64
    }
}

impl Drop for GuestMemory {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "a mapping is undone by a system call")]
        // SAFETY: the mapping is ours, and whoever lends it to a guest keeps this value alive.
        let unmapped = unsafe { munmap(self.start.as_ptr(), self.size) };
        debug_assert!(unmapped.is_ok(), "a mapping of our own can be undone");
    }
}
