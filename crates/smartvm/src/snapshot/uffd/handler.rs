//! The thread that serves one guest's faults.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread::JoinHandle;

use fs_err::File;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use smartvm_dir::FileAt;
use tokio::sync::oneshot;

use super::fill::Filler;
use super::handshake::{Peer, take_over};
use crate::home::listen_privately;

/// While a removal is under way its message is not there yet: how long to wait for it.
const SOON: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };

/// The handler of a guest's page faults could not go on. Code `UFFD_FAILED`.
#[derive(Debug, thiserror::Error)]
#[error("the guest's memory cannot be given to it any more")]
pub struct UffdError(#[source] io::Error);

/// The handler of one guest's page faults. Dropping it ends its thread, and removes its socket.
///
/// A guest whose handler is gone stands still at the next page that it touches: whoever drops this
/// ends the VM first.
#[derive(Debug)]
pub(crate) struct UffdHandler {
    socket: FileAt,
    stop: OwnedFd,
    thread: Option<JoinHandle<()>>,
    outcome: Option<oneshot::Receiver<io::Result<()>>>,
}

impl UffdHandler {
    /// Listens at `socket` for the process `peer`, and gives it the content of `memory`.
    pub(crate) fn start(socket: FileAt, memory: &Path, peer: Peer) -> io::Result<Self> {
        let memory = File::open(memory)?;
        let listener = listen_privately(&socket)?;
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let stopped = stop.try_clone()?;
        let (report, outcome) = oneshot::channel();
        let thread = std::thread::Builder::new().name("uffd".to_owned()).spawn(move || {
            // Nobody is left to hear it when the VM has been dropped.
            let _ = report.send(serve(&listener, memory, peer, &stopped));
        })?;
        Ok(Self { socket, stop, thread: Some(thread), outcome: Some(outcome) })
    }

    /// Waits until the handler fails; for ever when it does not. Cancel-safe.
    pub(crate) async fn failed(&mut self) -> UffdError {
        let Some(outcome) = &mut self.outcome else {
            return std::future::pending().await;
        };
        let outcome = outcome.await;
        self.outcome = None;
        match outcome {
            // The guest has gone; its process tells.
            Ok(Ok(())) => std::future::pending().await,
            Ok(Err(error)) => UffdError(error),
            Err(_) => UffdError(io::Error::other("the thread that serves its faults panicked")),
        }
    }
}

impl Drop for UffdHandler {
    fn drop(&mut self) {
        let told = rustix::io::write(&self.stop, &1_u64.to_ne_bytes());
        if told.is_ok()
            && let Some(thread) = self.thread.take()
        {
            // It ends within one fault. A panic of it was reported as a failure.
            let _ = thread.join();
        }
        // The directory may have gone before.
        let _ = self.socket.remove();
    }
}

/// Serves faults until the guest is gone, or `stop` says so.
fn serve(listener: &UnixListener, memory: File, peer: Peer, stop: &OwnedFd) -> io::Result<()> {
    let memory_size = memory.metadata()?.len();
    let handover = loop {
        if !wait_for(listener.as_fd(), stop, None)? {
            return Ok(());
        }
        match take_over(listener, peer, memory_size) {
            Ok(Some(handover)) => break handover,
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    };
    let _open_for_as_long_as_we_serve = handover.stream;
    let mut filler = Filler::new(handover.uffd, handover.regions, memory);
    loop {
        let patience = filler.is_behind().then_some(&SOON);
        if !wait_for(filler.uffd().as_fd(), stop, patience)? || !filler.serve()? {
            return Ok(());
        }
    }
}

/// Waits until something can be read, or time is over; false when it is time to stop.
fn wait_for(
    source: std::os::fd::BorrowedFd<'_>,
    stop: &OwnedFd,
    patience: Option<&Timespec>,
) -> io::Result<bool> {
    let mut descriptors =
        [PollFd::from_borrowed_fd(source, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
    rustix::io::retry_on_intr(|| poll(&mut descriptors, patience))?;
    Ok(descriptors[1].revents().is_empty())
}
