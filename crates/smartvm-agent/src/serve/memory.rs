//! The agent among those that the kernel kills when memory runs out.

#![expect(unsafe_code, reason = "the allocator's options are the C library's")]

use rustix::fs::{Mode, OFlags};

/// Makes the agent the last to be killed, and keeps it small.
pub(crate) fn protect() {
    // SAFETY: it changes a number of the allocator. By default each thread would get a part of memory of its own.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    if let Ok(file) = rustix::fs::open("/proc/self/oom_score_adj", flags, Mode::empty()) {
        // Who is not root of the machine may not: it is as likely as others then.
        let _ = rustix::io::write(&file, b"-1000");
    }
}
