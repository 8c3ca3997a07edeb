//! From an archive to a tree, the contents of its files in numbered files.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fs_err::os::unix::fs::OpenOptionsExt;
use thiserror::Error;

use super::node::{Attributes, Content, DeviceKind, DeviceNumber, Inode};
use super::read::{ArchiveReader, Entry, ReadArchiveError};
use super::tree::{Tree, TreeError};
use crate::free_space::SpaceWatch;
use crate::rootfs::lost::Lost;

/// The most bytes that an archive may unpack to.
const MAX_CONTENT: u64 = 1 << 40;
/// What is written at once; of zeros alone, it stays a hole.
const CHUNK: usize = 64 << 10;

/// The reason why an archive was not unpacked.
#[derive(Debug, Error)]
pub(in crate::rootfs) enum UnpackError {
    #[error(transparent)]
    Read(#[from] ReadArchiveError),
    #[error("the archive's entry `{path}` cannot be taken")]
    Entry {
        path: String,
        #[source]
        problem: EntryProblem,
    },
    #[error("the archive holds more than {MAX_CONTENT} bytes")]
    TooLarge,
}

impl UnpackError {
    /// Whether it stopped for want of space.
    pub(in crate::rootfs) fn is_about_space(&self) -> bool {
        matches!(self, Self::Entry { problem: EntryProblem::Content(error), .. }
            if error.kind() == io::ErrorKind::StorageFull)
    }
}

/// What is wrong with an entry.
#[derive(Debug, Error)]
pub(in crate::rootfs) enum EntryProblem {
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("its type `{}` is unknown", char::from(*.0).escape_default())]
    Kind(u8),
    #[error("a number of it is larger than Linux has any")]
    Number,
    #[error("it is a symbolic link to nothing")]
    EmptyLink,
    #[error("its content cannot be copied")]
    Content(#[source] io::Error),
}

/// Reads an archive into a tree. The contents of its files go into `spool`, an empty directory.
/// Files with an access control list, which is not kept, are told in `lost`. It ends with an error
/// before the file system of `spool` is full.
pub(in crate::rootfs) fn unpack(
    archive: impl Read,
    spool: &Path,
    lost: &mut Lost,
) -> Result<Tree, UnpackError> {
    read_all(archive, Spool::new(Some(spool)), lost)
}

/// The same without keeping any content.
pub(super) fn read_through(archive: impl Read) -> Result<Tree, UnpackError> {
    read_all(archive, Spool::new(None), &mut Lost::default())
}

fn read_all(
    archive: impl Read,
    mut spool: Spool<'_>,
    lost: &mut Lost,
) -> Result<Tree, UnpackError> {
    let mut reader = ArchiveReader::new(archive);
    let mut tree = Tree::new();
    while let Some(entry) = reader.next()? {
        let path = String::from_utf8_lossy(&entry.path).into_owned();
        if entry.kind != b'1' && spool.left < entry.size {
            return Err(UnpackError::TooLarge);
        }
        if entry.extensions.has_acl {
            lost.push(format!(
                "`{path}` loses its access control list, which is text in the archive"
            ));
        }
        take(&mut tree, entry, &mut spool, &mut reader)
            .map_err(|problem| UnpackError::Entry { path, problem })?;
    }
    Ok(tree)
}

fn take<R: Read>(
    tree: &mut Tree,
    entry: Entry,
    spool: &mut Spool<'_>,
    reader: &mut ArchiveReader<R>,
) -> Result<(), EntryProblem> {
    let number = |value: u64| u32::try_from(value).map_err(|_| EntryProblem::Number);
    let device = || {
        Ok::<_, EntryProblem>(DeviceNumber {
            major: number(entry.major)?,
            minor: number(entry.minor)?,
        })
    };
    let content = match entry.kind {
        0 | b'0' | b'7' => {
            let path = spool.write(reader.content()).map_err(EntryProblem::Content)?;
            Content::File(entry.size, path)
        }
        b'1' => return Ok(tree.link(&entry.path, &entry.link)?),
        b'2' if entry.link.is_empty() => return Err(EntryProblem::EmptyLink),
        b'2' if entry.link.len() > 4095 => return Err(TreeError::TooLong.into()),
        b'2' => Content::Symlink(entry.link.clone()),
        b'3' => Content::Device(DeviceKind::Character(device()?)),
        b'4' => Content::Device(DeviceKind::Block(device()?)),
        b'5' => Content::Directory(std::collections::BTreeMap::new()),
        b'6' => Content::Device(DeviceKind::Pipe),
        other => return Err(EntryProblem::Kind(other)),
    };
    let attributes = Attributes {
        mode: entry.mode,
        uid: number(entry.uid)?,
        gid: number(entry.gid)?,
        mtime: entry.mtime,
        xattrs: entry.extensions.xattrs,
    };
    Ok(tree.put(&entry.path, Inode { attributes, content })?)
}

/// Where contents go.
struct Spool<'a> {
    /// None when they go nowhere.
    dir: Option<&'a Path>,
    number: u64,
    left: u64,
    space: SpaceWatch,
    buffer: Vec<u8>,
}

impl<'a> Spool<'a> {
    fn new(dir: Option<&'a Path>) -> Self {
        let buffer = vec![0; CHUNK];
        Self { dir, number: 0, left: MAX_CONTENT, space: SpaceWatch::default(), buffer }
    }

    fn write(&mut self, mut content: impl Read) -> io::Result<PathBuf> {
        let Some(dir) = self.dir else {
            let size = io::copy(&mut content, &mut io::sink())?;
            self.left = self.left.saturating_sub(size);
            return Ok(PathBuf::new());
        };
        let path = dir.join(self.number.to_string());
        self.number += 1;
        let mut file =
            fs_err::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let size = write_sparse(content, &mut file, &mut self.buffer, &mut self.space)?;
        self.left = self.left.saturating_sub(size);
        Ok(path)
    }
}

/// Copies with holes in place of zeros; returns the size.
fn write_sparse(
    mut content: impl Read,
    file: &mut fs_err::File,
    buffer: &mut [u8],
    space: &mut SpaceWatch,
) -> io::Result<u64> {
    // An inode takes something too.
    space.before(file.file(), 4096)?;
    let mut size = 0;
    loop {
        let mut filled = 0;
        while filled < CHUNK {
            match content.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if filled == 0 {
            file.set_len(size)?;
            return Ok(size);
        }
        let chunk = &buffer[..filled];
        if chunk.iter().any(|&byte| byte != 0) {
            space.before(file.file(), filled as u64)?;
            file.seek(SeekFrom::Start(size))?;
            file.write_all(chunk)?;
        }
        size += filled as u64;
    }
}
