//! The peer: how the TypeScript original starts a VM. It looks for the socket every 100 ms and
//! opens a new connection for every request.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::floor::{exchange, requests, spawn};

/// Starts a guest that way; returns how long it took until InstanceStart was accepted.
pub(crate) fn start(firecracker: &Path, socket: &Path, kernel: &Path) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut child = spawn(firecracker, socket)?;
    while !socket.exists() {
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut booted = Ok(());
    for (request, body) in requests(kernel) {
        booted = UnixStream::connect(socket)
            .map_err(anyhow::Error::from)
            .and_then(|mut stream| exchange(&mut stream, request, &body));
        if booted.is_err() {
            break;
        }
    }
    let took = begun.elapsed();
    child.kill()?;
    child.wait()?;
    fs_err::remove_file(socket).ok();
    booted.map(|()| took)
}
