//! What a root file system can be made of.

use std::io::{self, Read, Seek};
use std::path::Path;

use thiserror::Error;

use super::archive::looks_like_header;
use super::ext4::{Ext4Superblock, ParseSuperblockError};
use super::image_kind::ImageKind;
use crate::regular_file::{ReadFileError, open_regular};

/// The most memory that an xz archive may take to decompress.
const XZ_MEMORY: u64 = 256 << 20;

/// What was named.
#[derive(Debug)]
pub(super) enum Source {
    Directory,
    Archive(fs_err::File, Compression),
    Image(ImageKind),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
    Xz,
}

/// The reason why what was named is no root file system.
#[derive(Debug, Error)]
pub(super) enum OpenSourceError {
    #[error(transparent)]
    Read(#[from] ReadFileError),
    #[error("failed to examine `{path}`")]
    Examine {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("`{path}` is damaged")]
    Damaged {
        path: String,
        #[source]
        source: ParseSuperblockError,
    },
    #[error("`{path}` is shorter than its file system: {found} bytes in place of {expected}")]
    Short { path: String, found: u64, expected: u64 },
    #[error("`{path}` is neither a directory nor an image nor an archive")]
    Unknown { path: String },
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self, OpenSourceError> {
        let shown = path.display().to_string();
        let examine =
            |source| OpenSourceError::Examine { path: path.display().to_string(), source };
        if fs_err::metadata(path).map_err(examine)?.is_dir() {
            return Ok(Self::Directory);
        }
        let mut file = open_regular(path)?;
        let mut start = Vec::new();
        let needed = Ext4Superblock::NEEDED as u64;
        file.by_ref().take(needed).read_to_end(&mut start).map_err(examine)?;
        file.rewind().map_err(examine)?;
        if let Some(compression) = Compression::of(&start) {
            return Ok(Self::Archive(file, compression));
        }
        let kind = ImageKind::of(&start)
            .map_err(|source| OpenSourceError::Damaged { path: shown.clone(), source })?
            .ok_or_else(|| OpenSourceError::Unknown { path: shown.clone() })?;
        let found = file.metadata().map_err(examine)?.len();
        if found < kind.size {
            return Err(OpenSourceError::Short { path: shown, found, expected: kind.size });
        }
        Ok(Self::Image(kind))
    }
}

impl Compression {
    fn of(start: &[u8]) -> Option<Self> {
        if start.starts_with(&[0x1f, 0x8b]) {
            Some(Self::Gzip)
        } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Some(Self::Zstd)
        } else if start.starts_with(b"\xfd7zXZ\0") {
            Some(Self::Xz)
        } else {
            looks_like_header(start).then_some(Self::None)
        }
    }

    /// What the archive holds.
    pub(super) fn decompress(self, file: fs_err::File) -> io::Result<Box<dyn Read>> {
        let file = io::BufReader::with_capacity(256 << 10, file);
        Ok(match self {
            Self::None => Box::new(file),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(file)?),
            Self::Xz => {
                let flags = liblzma::stream::CONCATENATED;
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, flags)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(file, stream))
            }
        })
    }
}
