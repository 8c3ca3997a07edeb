//! Waiting for an answer without giving the thread away.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

/// Firecracker answers most requests within 30 microseconds. To be woken through the runtime takes
/// longer than that: another thread waits for the socket and has to wake this one.
const PATIENCE: Duration = Duration::from_micros(100);

/// Returns once something can be read from the socket, or when that takes longer than usual.
///
/// It blocks the thread for as long as tokio holds to be harmless, and gives the processor back at
/// every look, so that Firecracker can use it.
pub(super) fn wait_promptly(stream: &UnixStream) {
    let begun = Instant::now();
    let mut byte = [0; 1];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    while recv(stream, &mut byte, flags) == Err(Errno::AGAIN) && begun.elapsed() < PATIENCE {
        std::thread::yield_now();
    }
}
