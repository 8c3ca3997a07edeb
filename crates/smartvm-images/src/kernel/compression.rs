//! The compressions that kernels and modules come in, told apart by their first bytes.

use std::io::{self, BufRead, Read};

use thiserror::Error;

use super::{lz4_legacy, lzop};

/// The kernel's own limit for an xz dictionary is 128 MiB; the decoder needs a little more.
const XZ_MEMORY: u64 = 160 << 20;

/// A compression format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Xz,
    Zstd,
    Lz4Legacy,
    Lzop,
    Bzip2,
    Lzma,
}

/// The reason why compressed bytes could not be unpacked.
#[derive(Debug, Error)]
pub(super) enum DecompressError {
    #[error("{name} compression is not supported")]
    Unsupported { name: &'static str },
    #[error("the unpacked data would exceed {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the {name} data is damaged or cut short")]
    Damaged {
        name: &'static str,
        #[source]
        source: io::Error,
    },
}

impl Compression {
    /// Tells the format from the first bytes.
    pub(super) fn detect(bytes: &[u8]) -> Option<Self> {
        let formats: [(&[u8], Self); 7] = [
            (b"\x1f\x8b", Self::Gzip),
            (b"\xfd7zXZ\0", Self::Xz),
            (b"\x28\xb5\x2f\xfd", Self::Zstd),
            (lz4_legacy::MAGIC, Self::Lz4Legacy),
            (lzop::MAGIC, Self::Lzop),
            (b"BZh", Self::Bzip2),
            (b"\x5d\0\0", Self::Lzma),
        ];
        formats.into_iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, format)| format)
    }

    /// Unpacks one stream; what follows it in `bytes` is ignored, except by LZ4's legacy format,
    /// which has no end mark.
    ///
    /// # Errors
    /// When the format cannot be unpacked here, the bytes are damaged or cut short, or more than
    /// `limit` bytes come out of them.
    pub(super) fn decompress(self, bytes: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
        let name = self.name();
        let unpacked = match self {
            Self::Gzip => read_up_to(flate2::bufread::GzDecoder::new(bytes), limit),
            Self::Xz => xz_decoder(bytes).and_then(|decoder| read_up_to(decoder, limit)),
            Self::Zstd => zstd::stream::read::Decoder::with_buffer(bytes)
                .and_then(|decoder| read_up_to(decoder.single_frame(), limit)),
            Self::Lz4Legacy => lz4_legacy::decompress(bytes, limit),
            Self::Lzop => lzop::decompress(bytes, limit),
            Self::Bzip2 | Self::Lzma => return Err(DecompressError::Unsupported { name }),
        }
        .map_err(|source| DecompressError::Damaged { name, source })?;
        unpacked.ok_or(DecompressError::TooLarge { limit })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Lz4Legacy => "LZ4",
            Self::Lzop => "LZO",
            Self::Bzip2 => "bzip2",
            Self::Lzma => "lzma",
        }
    }
}

fn xz_decoder<R: BufRead>(bytes: R) -> io::Result<liblzma::bufread::XzDecoder<R>> {
    let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, 0)?;
    Ok(liblzma::bufread::XzDecoder::new_stream(bytes, stream))
}

/// Reads to the end, or gives `None` when there is more than `limit`.
fn read_up_to(reader: impl Read, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut unpacked = Vec::new();
    reader.take(limit as u64 + 1).read_to_end(&mut unpacked)?;
    Ok((unpacked.len() <= limit).then_some(unpacked))
}

#[cfg(test)]
mod tests;
