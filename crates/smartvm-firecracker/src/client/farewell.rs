//! Leaving a connection on which Firecracker may still write.
//!
//! A write to a connection that nobody reads any more is a SIGPIPE for Firecracker's API thread,
//! whose seccomp filter does not let it return from a signal handler (`rt_sigreturn` is missing, in
//! 1.12.1 as in 1.17-dev): the kernel ends Firecracker, guest and all. Seen with a body that its HTTP
//! layer refuses, which it does once for each piece that it reads.
//!
//! So our half for reading stays open until Firecracker has closed its side, which it does as
//! soon as it sees that nothing more will come. Whoever writes more than any answer has is not
//! Firecracker, or not any more, and is not listened to for longer.

use std::io;
use std::os::unix::net::UnixStream as StdStream;

use rustix::net::Shutdown;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::runtime::Handle;

/// More than Firecracker writes in an answer and the refusals after it, in bytes.
const LIMIT: usize = 2 << 20;

/// Says that no more requests will come, and reads what does until Firecracker closes.
///
/// A task does the reading. Outside of a runtime, or when the runtime ends first, the connection is
/// closed as it is.
pub(super) fn take_leave(stream: &StdStream) {
    let Ok(runtime) = Handle::try_current() else { return };
    // It fails when the other side is gone, and then there is nothing to wait for.
    if rustix::net::shutdown(stream, Shutdown::Write).is_err() {
        return;
    }
    if let Ok(stream) = stream.try_clone() {
        runtime.spawn(read_to_end(stream));
    }
}

async fn read_to_end(stream: StdStream) {
    let Ok(watched) = UnixStream::from_std(stream) else { return };
    let mut scratch = [0; 4 << 10];
    let mut read_so_far = 0;
    while read_so_far < LIMIT {
        let read = watched.async_io(Interest::READABLE, || watched.try_read(&mut scratch)).await;
        match read {
            Ok(0) => return,
            Ok(count) => read_so_far += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
