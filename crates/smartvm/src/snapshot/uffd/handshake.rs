//! Taking the guest's memory over from Firecracker.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_peercred;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::regions::{GuestRegions, MAX_MESSAGE};

/// How long Firecracker may take to say everything once it is connected.
const PATIENCE: Duration = Duration::from_secs(5);

/// What `/proc/self/fd` calls a userfaultfd.
const USERFAULTFD: &str = "anon_inode:[userfaultfd]";

/// The process that a guest's memory is given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) pid: u32,
    /// Whom it has become; the number of a process is another's soon after its end.
    pub(crate) uid: u32,
}

/// What Firecracker handed over.
pub(super) struct Handover {
    pub(super) uffd: OwnedFd,
    pub(super) regions: GuestRegions,
    /// Firecracker keeps its end open for as long as it lives, and so do we.
    pub(super) stream: UnixStream,
}

/// Accepts one connection, which must be that of `peer`, and reads what it hands over: one
/// userfaultfd, and regions that are all of a memory file of `memory_size` bytes.
pub(super) fn take_over(
    listener: &UnixListener,
    peer: Peer,
    memory_size: u64,
) -> io::Result<Option<Handover>> {
    let (stream, _) = listener.accept()?;
    let who = socket_peercred(&stream)?;
    let is_it = u32::try_from(who.pid.as_raw_nonzero().get()) == Ok(peer.pid)
        && who.uid.as_raw() == peer.uid;
    if !is_it {
        tracing::warn!(
            pid = who.pid.as_raw_nonzero(),
            uid = who.uid.as_raw(),
            "a stranger asked for a guest's memory"
        );
        return Ok(None);
    }
    let deadline = Instant::now() + PATIENCE;
    stream.set_nonblocking(false)?;
    let mut message = Vec::new();
    let mut descriptors = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let count = receive(&stream, &mut message, &mut descriptors).map_err(|error| {
            // So the system calls the end of a read's patience; from an accept it means that nobody came.
            let late = error.kind() == io::ErrorKind::WouldBlock;
            if late { io::ErrorKind::TimedOut.into() } else { error }
        })?;
        if descriptors.len() > 1 {
            return Err(io::Error::other("more than one descriptor came"));
        }
        match GuestRegions::parse(&message, memory_size) {
            Ok(regions) => {
                let uffd = descriptors.pop();
                let uffd =
                    uffd.ok_or_else(|| io::Error::other("no descriptor came with the regions"))?;
                check(&uffd)?;
                rustix::io::ioctl_fionbio(&uffd, true)?;
                return Ok(Some(Handover { uffd, regions, stream }));
            }
            Err(error) if error.is_incomplete() && count > 0 => {}
            Err(error) => return Err(io::Error::other(error)),
        }
        if message.len() > MAX_MESSAGE {
            return Err(io::Error::other("a message without an end"));
        }
    }
}

/// Refuses what is no userfaultfd: messages of the kernel's are believed, those of whoever holds the other end
/// of a pipe are not.
fn check(descriptor: &OwnedFd) -> io::Result<()> {
    let link = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    if fs_err::read_link(link)?.as_os_str() == USERFAULTFD {
        return Ok(());
    }
    Err(io::Error::other("the descriptor that came is no userfaultfd"))
}

/// Reads some bytes, and the descriptors that come along.
fn receive(
    stream: &UnixStream,
    message: &mut Vec<u8>,
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut bytes = [0; 4096];
    // Room for two, so that a second one is seen.
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        recvmsg(stream.as_fd(), &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })?;
    for part in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(more) = part {
            descriptors.extend(more);
        }
    }
    message.extend_from_slice(&bytes[..received.bytes]);
    Ok(received.bytes)
}

#[cfg(test)]
mod tests;
