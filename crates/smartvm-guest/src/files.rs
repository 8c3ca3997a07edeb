//! Files and trees of a guest, as streams.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;

use smartvm_protocol::agent::ReadStarted;
use smartvm_protocol::host::{DataEnd, StartRead, StartWrite};
use smartvm_protocol::{AgentFrame, HostFrame, HostKind, MAX_DATA, SessionKind};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::connection::{ANSWER, Incoming, Outgoing, open};
use crate::guest::Guest;
use crate::guest_error::{GuestError, ProtocolFault};

/// A file of a guest, or a tree as a tar stream, that is being read. What is not asked for stays in the guest.
#[derive(Debug)]
pub struct GuestFile {
    found: ReadStarted,
    incoming: Incoming,
    _outgoing: Outgoing,
    read: u64,
    ended: bool,
}

/// A file of a guest, or a tree, that is being written. Dropping it before [`finish`](Self::finish) leaves nothing of it
/// where the file is replaced whole.
#[derive(Debug)]
pub struct GuestFileWriter {
    incoming: Incoming,
    outgoing: Outgoing,
    written: u64,
    /// Set while a frame is under way: when it was given up in the middle, the connection is of no use.
    torn: bool,
}

/// How a file or a tree is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriteOptions {
    /// The file's mode: 0644 for a new one, and what it has for one that exists, unless one is given.
    pub mode: Option<u32>,
    /// The file's owner, root unless one is given.
    pub uid: Option<u32>,
    /// The file's group.
    pub gid: Option<u32>,
    /// Writes beside the file, and puts it in its place when it is whole.
    pub atomic: bool,
    /// Makes the directories that are missing.
    pub parents: bool,
}

impl Guest {
    /// Opens a file of the guest. Links are followed within the guest's root.
    ///
    /// # Errors
    /// `GUEST_NO_FILE`, `GUEST_WRONG_KIND_OF_FILE` for what is no file, and whatever [`GuestError`] names.
    pub async fn open_file(&self, path: impl AsRef<OsStr>) -> Result<GuestFile, GuestError> {
        self.start_read(path.as_ref(), false, "read a file").await
    }

    /// Opens a tree of the guest, whatever it is, as a tar stream in which its own name comes first. Its entries are the
    /// guest's word: whoever unpacks it takes no path of it for granted.
    ///
    /// # Errors
    /// As [`open_file`](Self::open_file).
    pub async fn open_tree(&self, path: impl AsRef<OsStr>) -> Result<GuestFile, GuestError> {
        self.start_read(path.as_ref(), true, "read a tree").await
    }

    /// Begins to write a file of the guest.
    ///
    /// # Errors
    /// `GUEST_NO_FILE` when its directory is missing, `GUEST_WRONG_KIND_OF_FILE` when it is a directory or device, and
    /// whatever [`GuestError`] names.
    pub async fn create_file(
        &self,
        path: impl AsRef<OsStr>,
        options: WriteOptions,
    ) -> Result<GuestFileWriter, GuestError> {
        self.start_write(path.as_ref(), false, options, "write a file").await
    }

    /// Begins to unpack a tar stream in a directory of the guest.
    ///
    /// # Errors
    /// As [`create_file`](Self::create_file); `GUEST_ARCHIVE_REFUSED`, also later, for a stream that is damaged or leads out
    /// of the directory.
    pub async fn unpack_tree(
        &self,
        directory: impl AsRef<OsStr>,
        options: WriteOptions,
    ) -> Result<GuestFileWriter, GuestError> {
        self.start_write(directory.as_ref(), true, options, "unpack a tree").await
    }

    async fn start_read(
        &self,
        path: &OsStr,
        tree: bool,
        doing: &'static str,
    ) -> Result<GuestFile, GuestError> {
        let start = HostFrame::StartRead(StartRead { path: path.as_bytes().to_vec(), tree });
        let opened = open(self.dial(), SessionKind::Read, Some(start), doing).await?;
        let (mut incoming, outgoing, _) = opened;
        match incoming.answer(ANSWER).await? {
            AgentFrame::ReadStarted(found) => {
                Ok(GuestFile { found, incoming, _outgoing: outgoing, read: 0, ended: false })
            }
            _ => Err(ProtocolFault::Answer.into()),
        }
    }

    async fn start_write(
        &self,
        path: &OsStr,
        tree: bool,
        options: WriteOptions,
        doing: &'static str,
    ) -> Result<GuestFileWriter, GuestError> {
        let WriteOptions { mode, uid, gid, atomic, parents } = options;
        let path = path.as_bytes().to_vec();
        let start =
            HostFrame::StartWrite(StartWrite { path, tree, mode, uid, gid, atomic, parents });
        let opened = open(self.dial(), SessionKind::Write, Some(start), doing).await?;
        let (mut incoming, outgoing, _) = opened;
        match incoming.answer(ANSWER).await? {
            AgentFrame::WriteStarted(_) => {
                Ok(GuestFileWriter { incoming, outgoing, written: 0, torn: false })
            }
            _ => Err(ProtocolFault::Answer.into()),
        }
    }
}

impl GuestFile {
    /// What the guest says of the file.
    #[must_use]
    pub fn found(&self) -> &ReadStarted {
        &self.found
    }

    /// The next piece, of at most 64 KiB; none at the end. Not to be called again when it was dropped in the middle.
    ///
    /// # Errors
    /// When the guest cannot go on, or is lost: what came before is not the whole then.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, GuestError> {
        if self.ended {
            return Ok(None);
        }
        match self.incoming.next().await? {
            AgentFrame::Data(piece) => {
                self.read += piece.len() as u64;
                Ok(Some(piece.into_bytes()))
            }
            AgentFrame::DataEnd(end) if end.bytes == self.read => {
                self.ended = true;
                Ok(None)
            }
            AgentFrame::Refused(refusal) => {
                Err(GuestError::Refused { doing: "go on reading", refusal })
            }
            _ => Err(ProtocolFault::Answer.into()),
        }
    }
}

impl GuestFileWriter {
    /// Writes some bytes.
    ///
    /// # Errors
    /// When the guest takes no more, with its reason, or is lost.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), GuestError> {
        for piece in bytes.chunks(MAX_DATA as usize) {
            let header = HostKind::Data.header(piece.len());
            let header = header.map_err(|source| GuestError::TooLong { source })?;
            let frame = [&header[..], piece].concat();
            self.send(&frame).await?;
            self.written += piece.len() as u64;
        }
        Ok(())
    }

    /// Writes all that `from` gives.
    ///
    /// # Errors
    /// As [`write`](Self::write); an error of `from` is given inside.
    pub async fn copy_from(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
    ) -> Result<io::Result<()>, GuestError> {
        let mut piece = vec![0; MAX_DATA as usize];
        loop {
            match from.read(&mut piece).await {
                Ok(0) => return Ok(Ok(())),
                Ok(read) => self.write(&piece[..read]).await?,
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    /// Says that this was all, and returns when the guest has it; how many bytes.
    ///
    /// # Errors
    /// As [`write`](Self::write). Nothing is left then of a file that was to be replaced whole.
    pub async fn finish(mut self) -> Result<u64, GuestError> {
        let mut frame = Vec::new();
        let end = HostFrame::DataEnd(DataEnd { bytes: self.written });
        smartvm_protocol::Frame::encode(&end, &mut frame)
            .map_err(|source| GuestError::TooLong { source })?;
        self.send(&frame).await?;
        match self.incoming.answer(ANSWER).await? {
            AgentFrame::Written(written) if written.bytes == self.written => Ok(self.written),
            _ => Err(ProtocolFault::Answer.into()),
        }
    }

    async fn send(&mut self, frame: &[u8]) -> Result<(), GuestError> {
        if std::mem::replace(&mut self.torn, true) {
            let source = io::Error::other("a write was given up in the middle");
            return Err(GuestError::Lost { doing: "write", source });
        }
        if let Err(lost) = self.outgoing.write(frame).await {
            // A guest that takes no more has said why before it closed.
            return match self.incoming.answer(ANSWER).await {
                Err(refused @ GuestError::Refused { .. }) => Err(refused),
                _ => Err(lost),
            };
        }
        self.torn = false;
        Ok(())
    }
}
