//! Reading an archive, entry by entry.
//!
//! Ours, since what it is read for is to lose nothing: the crates that read tar archives cut an
//! extended attribute at its first line feed, and let a header take any amount of memory.

use std::io::{self, Read};

use thiserror::Error;

use super::extension::{ExtensionError, Extensions};
use super::header::{BLOCK, Header, HeaderError, is_end};
use super::node::Stamp;

/// The most that is said of one file in addition to its header: more than Linux' largest names and
/// attributes.
const MAX_EXTENSION: u64 = 1 << 20;
/// The most that may follow the end of an archive, which is read for the sums of its compression.
const MAX_TRAILER: u64 = 1 << 30;

/// The reason why an archive was not read.
#[derive(Debug, Error)]
pub(in crate::rootfs) enum ReadArchiveError {
    #[error("the archive cannot be read")]
    Read(#[source] io::Error),
    #[error("the archive ends in the middle")]
    Short,
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error(transparent)]
    Extension(#[from] ExtensionError),
    #[error("the archive says more than {MAX_EXTENSION} bytes of one file")]
    LargeExtension,
    #[error("more follows the end of the archive than fills its last block")]
    Trailer,
}

/// An entry, with all that is said of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: Vec<u8>,
    pub(super) link: Vec<u8>,
    /// The letter or digit of its type.
    pub(super) kind: u8,
    pub(super) size: u64,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) mtime: Stamp,
    pub(super) major: u64,
    pub(super) minor: u64,
    pub(super) extensions: Extensions,
}

/// An archive that is being read.
#[derive(Debug)]
pub(super) struct ArchiveReader<R> {
    input: R,
    /// What is left of the last entry's content, and of the block that it ends in.
    content: u64,
    padding: u64,
    global: Extensions,
}

impl<R: Read> ArchiveReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, content: 0, padding: 0, global: Extensions::default() }
    }

    /// The next entry; its content follows, in [`content`](Self::content). None at the end, which is
    /// what ends an archive: one that just stops is not whole.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, ReadArchiveError> {
        let mut extensions = Extensions::default();
        let (mut long_path, mut long_link) = (None, None);
        loop {
            self.skip()?;
            let mut block = [0; BLOCK];
            self.fill(&mut block)?;
            if is_end(&block) {
                self.finish()?;
                return Ok(None);
            }
            let header = Header::parse(&block)?;
            self.expect_content(header.size);
            match header.kind {
                b'x' => extensions.add(&self.extension()?)?,
                b'g' => {
                    let records = self.extension()?;
                    self.global.add(&records)?;
                }
                b'L' => long_path = Some(without_end(self.extension()?)),
                b'K' => long_link = Some(without_end(self.extension()?)),
                // The name of the archive itself.
                b'V' => {}
                _ => {
                    let mut extensions = extensions.over(&self.global)?;
                    let size = extensions.size.unwrap_or(header.size);
                    // Links have none, whatever is said of their size.
                    let has_content = !matches!(header.kind, b'1'..=b'6');
                    self.expect_content(if has_content { size } else { 0 });
                    let mtime = Stamp { seconds: header.mtime, nanoseconds: 0 };
                    let path = extensions.path.take().or(long_path).unwrap_or(header.path);
                    return Ok(Some(Entry {
                        // As archives were made before directories had a type of their own.
                        kind: if header.kind == 0 && path.ends_with(b"/") {
                            b'5'
                        } else {
                            header.kind
                        },
                        path,
                        link: extensions.link.take().or(long_link).unwrap_or(header.link),
                        size,
                        mode: header.mode,
                        uid: extensions.uid.unwrap_or(header.uid),
                        gid: extensions.gid.unwrap_or(header.gid),
                        mtime: extensions.mtime.unwrap_or(mtime),
                        major: header.major,
                        minor: header.minor,
                        extensions,
                    }));
                }
            }
        }
    }

    /// The content of the last entry, all of which must be read.
    pub(super) fn content(&mut self) -> impl Read {
        let left = std::mem::take(&mut self.content);
        WholeContent { input: &mut self.input, left }
    }

    fn expect_content(&mut self, size: u64) {
        self.content = size;
        let block = BLOCK as u64;
        self.padding = (block - size % block) % block;
    }

    fn extension(&mut self) -> Result<Vec<u8>, ReadArchiveError> {
        if self.content > MAX_EXTENSION {
            return Err(ReadArchiveError::LargeExtension);
        }
        let mut bytes = vec![0; usize::try_from(self.content).unwrap_or_default()];
        self.fill(&mut bytes)?;
        self.content = 0;
        Ok(bytes)
    }

    fn skip(&mut self) -> Result<(), ReadArchiveError> {
        let left = std::mem::take(&mut self.content);
        let left = left.saturating_add(std::mem::take(&mut self.padding));
        let skipped = io::copy(&mut self.input.by_ref().take(left), &mut io::sink());
        if skipped.map_err(ReadArchiveError::Read)? < left {
            return Err(ReadArchiveError::Short);
        }
        Ok(())
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), ReadArchiveError> {
        self.input.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ReadArchiveError::Short,
            _ => ReadArchiveError::Read(error),
        })
    }

    /// Reads what is left, whose sums tell whether the whole was good.
    fn finish(&mut self) -> Result<(), ReadArchiveError> {
        let mut rest = self.input.by_ref().take(MAX_TRAILER);
        let read = io::copy(&mut rest, &mut io::sink()).map_err(ReadArchiveError::Read)?;
        if read == MAX_TRAILER { Err(ReadArchiveError::Trailer) } else { Ok(()) }
    }
}

fn without_end(mut name: Vec<u8>) -> Vec<u8> {
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    name.truncate(end);
    name
}

/// Content whose end before its size is an error.
struct WholeContent<'a, R> {
    input: &'a mut R,
    left: u64,
}

impl<R: Read> Read for WholeContent<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.input.read(&mut buffer[..wanted])?;
        if count == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the archive ends in the middle of a file",
            ));
        }
        self.left -= count as u64;
        Ok(count)
    }
}
