//! Taking the guest's memory over from Firecracker.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::regions::{GuestRegions, MAX_MESSAGE};

/// How long Firecracker may take to say everything once it is connected.
const PATIENCE: Duration = Duration::from_secs(5);

/// What Firecracker handed over.
pub(super) struct Handover {
    pub(super) uffd: OwnedFd,
    pub(super) regions: GuestRegions,
    /// Firecracker keeps its end open for as long as it lives, and so do we.
    pub(super) stream: UnixStream,
}

/// Accepts one connection, which must be that of process `peer`, and reads what it hands over.
pub(super) fn take_over(
    listener: &UnixListener,
    peer: u32,
    memory_size: u64,
) -> io::Result<Option<Handover>> {
    let (stream, _) = listener.accept()?;
    let who = socket_peercred(&stream)?;
    if u32::try_from(who.pid.as_raw_nonzero().get()) != Ok(peer) {
        tracing::warn!(pid = who.pid.as_raw_nonzero(), "a stranger asked for a guest's memory");
        return Ok(None);
    }
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut message = Vec::new();
    let mut uffd = None;
    loop {
        let count = receive(&stream, &mut message, &mut uffd)?;
        let done = GuestRegions::parse(&message, memory_size);
        match (done, uffd.take()) {
            (Ok(regions), Some(uffd)) => {
                rustix::io::ioctl_fionbio(&uffd, true)?;
                return Ok(Some(Handover { uffd, regions, stream }));
            }
            (Ok(_), None) => return Err(io::Error::other("no descriptor came with the regions")),
            (Err(error), descriptor) if error.is_incomplete() && count > 0 => uffd = descriptor,
            (Err(error), _) => return Err(io::Error::other(error)),
        }
        if message.len() > MAX_MESSAGE {
            return Err(io::Error::other("a message without an end"));
        }
    }
}

/// Reads some bytes, and a descriptor if one comes along.
fn receive(
    stream: &UnixStream,
    message: &mut Vec<u8>,
    uffd: &mut Option<OwnedFd>,
) -> io::Result<usize> {
    let mut bytes = vec![0; MAX_MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        recvmsg(stream.as_fd(), &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })?;
    for part in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = part {
            for descriptor in descriptors {
                uffd.get_or_insert(descriptor);
            }
        }
    }
    message.extend_from_slice(&bytes[..received.bytes]);
    Ok(received.bytes)
}
