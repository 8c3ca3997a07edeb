//! The archive of a release, whose content is taken for hostile.

use std::io::{self, Read, Write};
use std::path::{Component, Path};

use flate2::read::GzDecoder;
use tar::EntryType;
use thiserror::Error;

use super::version::ReleaseVersion;
use crate::base_image::Arch;
use crate::quoted::Quoted;

/// The most bytes that an archive may unpack to, and that one program may have.
const MAX_UNPACKED: u64 = 1 << 30;
const MAX_PROGRAM: u64 = 256 << 20;

/// The most entries of an archive. A release has some twenty.
const MAX_ENTRIES: usize = 4096;

/// A program of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `firecracker`.
    Firecracker,
    /// `jailer`.
    Jailer,
}

impl Program {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Firecracker, Self::Jailer];

    /// What it is called.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firecracker => "firecracker",
            Self::Jailer => "jailer",
        }
    }
}

/// Which archive is read: `release-VERSION-ARCH/{firecracker,jailer}-VERSION-ARCH` are taken out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseArchive {
    /// The version.
    pub version: ReleaseVersion,
    /// The processor.
    pub arch: Arch,
}

/// The reason why an archive was not unpacked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// It is no archive, or a damaged one.
    #[error("the archive cannot be read")]
    Read(#[source] io::Error),
    /// It holds what no release holds.
    #[error("the archive holds {}, {problem}", Quoted(entry))]
    Hostile {
        /// The entry's name.
        entry: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// It holds more than a release may.
    #[error("the archive is larger than any release: {0}")]
    TooLarge(&'static str),
    /// It lacks a program.
    #[error("the archive lacks {}", Quoted(.0))]
    Missing(String),
    /// A program could not be written.
    #[error("failed to write {program}")]
    Write {
        /// The program.
        program: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl ReleaseArchive {
    /// Reads a `.tgz` and writes the two programs to what `open` returns for each. Nothing else of the
    /// archive is written anywhere.
    ///
    /// # Errors
    /// When it is damaged, lacks a program or holds one twice, holds an absolute path, a `..`, a link,
    /// a device or another thing that no release holds, or is too large. Programs may have been
    /// written by then.
    pub fn unpack_gzip<W: Write>(
        self,
        archive: impl Read,
        open: impl FnMut(Program) -> io::Result<W>,
    ) -> Result<(), ArchiveError> {
        self.unpack(GzDecoder::new(archive), open)
    }

    /// The same for an archive that is not compressed.
    ///
    /// # Errors
    /// As [`unpack_gzip`](Self::unpack_gzip).
    pub fn unpack<W: Write>(
        self,
        archive: impl Read,
        mut open: impl FnMut(Program) -> io::Result<W>,
    ) -> Result<(), ArchiveError> {
        let mut archive = tar::Archive::new(Limited { inner: archive, left: MAX_UNPACKED });
        let mut found = [false; Program::ALL.len()];
        // Raw: nothing of an entry is held in memory, and no extension gives one another name.
        let entries = archive.entries().map_err(read)?.raw(true);
        for (count, entry) in entries.enumerate() {
            if count == MAX_ENTRIES {
                return Err(ArchiveError::TooLarge("too many entries"));
            }
            let mut entry = entry.map_err(read)?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            if let Some(problem) = problem(&name, entry.header().entry_type()) {
                return Err(ArchiveError::Hostile { entry: name, problem });
            }
            let Some(program) = Program::ALL.into_iter().find(|p| name == self.path(*p)) else {
                continue;
            };
            if !entry.header().entry_type().is_file() {
                let problem = "which is not a file";
                return Err(ArchiveError::Hostile { entry: name, problem });
            }
            if std::mem::replace(&mut found[program as usize], true) {
                return Err(ArchiveError::Hostile { entry: name, problem: "twice" });
            }
            if entry.size() > MAX_PROGRAM {
                return Err(ArchiveError::TooLarge("a program of more than 256 MiB"));
            }
            copy(&mut entry, program, &mut open)?;
        }
        let missing = Program::ALL.into_iter().find(|program| !found[*program as usize]);
        missing.map_or(Ok(()), |program| Err(ArchiveError::Missing(self.path(program))))
    }

    fn path(self, program: Program) -> String {
        let Self { version, arch } = self;
        format!("release-{version}-{arch}/{}-{version}-{arch}", program.as_str())
    }
}

/// What no release holds.
fn problem(name: &str, kind: EntryType) -> Option<&'static str> {
    let mut components = Path::new(name).components();
    if components.any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Some("which is outside of it");
    }
    if name.is_empty() || name.contains('\0') {
        return Some("which is no name");
    }
    match kind {
        EntryType::Regular
        | EntryType::Continuous
        | EntryType::Directory
        // What describes the next entry; it is not followed.
        | EntryType::XHeader
        | EntryType::XGlobalHeader
        | EntryType::GNULongName => None,
        EntryType::Link | EntryType::Symlink | EntryType::GNULongLink => Some("which is a link"),
        EntryType::Char | EntryType::Block | EntryType::Fifo => Some("which is a device"),
        _ => Some("which is neither file nor directory"),
    }
}

fn copy<W: Write>(
    entry: &mut impl Read,
    program: Program,
    open: &mut impl FnMut(Program) -> io::Result<W>,
) -> Result<(), ArchiveError> {
    let write = |source| ArchiveError::Write { program: program.as_str(), source };
    let mut file = open(program).map_err(write)?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match entry.read(&mut buffer) {
            Ok(0) => return file.flush().map_err(write),
            Ok(count) => file.write_all(&buffer[..count]).map_err(write)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(read(error)),
        }
    }
}

fn read(error: io::Error) -> ArchiveError {
    if error.get_ref().is_some_and(|inner| inner.is::<LimitReached>()) {
        return ArchiveError::TooLarge("more than 1 GiB when it is unpacked");
    }
    ArchiveError::Read(error)
}

/// Ends a reader that goes on for too long.
struct Limited<R> {
    inner: R,
    left: u64,
}

#[derive(Debug, Error)]
#[error("it unpacks to more than it may")]
struct LimitReached;

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left =
            self.left.checked_sub(count as u64).ok_or_else(|| io::Error::other(LimitReached))?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
