//! A descriptor that goes from one process to another with a line.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;

/// Sends `line`, which ends in a new line, and a copy of `descriptor` with its first byte.
pub(super) async fn send(
    stream: &mut UnixStream,
    line: &[u8],
    descriptor: BorrowedFd<'_>,
) -> io::Result<()> {
    let socket = &*stream;
    let sent = socket
        .async_io(Interest::WRITABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            let descriptors = [descriptor];
            if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
                return Err(io::Error::other("no room for a descriptor"));
            }
            let sent = sendmsg(
                socket.as_fd(),
                &[IoSlice::new(line)],
                &mut ancillary,
                SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
            );
            Ok(sent?)
        })
        .await?;
    stream.write_all(&line[sent..]).await
}

/// Receives a line of at most `limit` bytes, without its end, and the descriptor that came with it. More than one is
/// an error, and closed.
pub(super) async fn receive(
    stream: &UnixStream,
    limit: usize,
) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
    let mut line = Vec::new();
    let mut descriptors = Vec::new();
    loop {
        let count = stream
            .async_io(Interest::READABLE, || receive_some(stream, &mut line, &mut descriptors))
            .await?;
        if descriptors.len() > 1 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "more than one descriptor"));
        }
        if line.pop_if(|last| *last == b'\n').is_some() {
            return Ok((line, descriptors.pop()));
        }
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.len() > limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line that is too long"));
        }
    }
}

fn receive_some(
    stream: &UnixStream,
    line: &mut Vec<u8>,
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut bytes = [0; 4096];
    // Room for two, so that a second one is seen.
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received =
        recvmsg(stream.as_fd(), &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags)?;
    for part in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(more) = part {
            descriptors.extend(more);
        }
    }
    line.extend_from_slice(&bytes[..received.bytes]);
    Ok(received.bytes)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn a_line_and_its_descriptor_arrive_together() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let (mut given, kept) = UnixStream::pair().unwrap();
        let line = format!("{}\n", "x".repeat(300_000)).into_bytes();
        let sending = tokio::spawn(async move {
            send(&mut ours, &line, kept.as_fd()).await.unwrap();
        });
        let (line, descriptor) = receive(&theirs, 1 << 20).await.unwrap();
        sending.await.unwrap();
        assert_eq!(line.len(), 300_000);
        let received = std::os::unix::net::UnixStream::from(descriptor.unwrap());
        std::io::Write::write_all(&mut &received, b"hi").unwrap();
        drop(received);
        let mut said = Vec::new();
        given.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, b"hi", "it is the other end of what was given");
    }

    #[tokio::test]
    async fn lines_have_a_limit_and_an_end() {
        for text in [&b"cut"[..], b"", &[b'x'; 100_000]] {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            ours.write_all(text).await.unwrap();
            drop(ours);
            receive(&theirs, 1000).await.unwrap_err();
        }
    }
}
