//! The streams of a program in a guest.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use smartvm_protocol::Hidden;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::mpsc;

/// The input of a program in a guest. At most 128 KiB are on their way to a program that does not read. Dropping it, or
/// shutting it down, is the end of the input.
#[derive(Debug)]
pub struct ChildStdin(pub(crate) DuplexStream);

impl AsyncWrite for ChildStdin {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// The output of a program in a guest. What is not read stays in the guest, but for a piece of 64 KiB. Dropping it throws
/// away what comes.
#[derive(Debug)]
pub struct ChildOutput {
    pieces: mpsc::Receiver<io::Result<Hidden>>,
    piece: Hidden,
    read: usize,
}

impl ChildOutput {
    pub(crate) fn new(pieces: mpsc::Receiver<io::Result<Hidden>>) -> Self {
        Self { pieces, piece: Hidden::default(), read: 0 }
    }
}

impl AsyncRead for ChildOutput {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.read == self.piece.len() {
            match ready!(self.pieces.poll_recv(context)) {
                Some(piece) => {
                    self.piece = piece?;
                    self.read = 0;
                }
                None => return Poll::Ready(Ok(())),
            }
        }
        let unread = &self.piece[self.read..];
        let length = unread.len().min(buffer.remaining());
        buffer.put_slice(&unread[..length]);
        self.read += length;
        Poll::Ready(Ok(()))
    }
}
