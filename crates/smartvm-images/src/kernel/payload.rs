//! From an image to the `vmlinux` that Firecracker loads.

use std::borrow::Cow;

use thiserror::Error;

use super::compression::{Compression, DecompressError};
use super::elf::{self, ElfError};
use super::fields::le32;
use super::image::KernelImage;

/// The most bytes an unpacked kernel may have: one with all its debug information fits.
pub(super) const MAX_VMLINUX: usize = 1 << 30;

/// The build appends the unpacked length to every compressed kernel but gzip's, which has it anyway.
const SIZE_TRAILER: usize = 4;

/// The reason why no `vmlinux` came out of an image.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct UnpackKernelError(#[from] Reason);

#[derive(Debug, Error)]
enum Reason {
    #[error("the compression of the kernel is unknown: it begins with {0:02x?}")]
    UnknownCompression(Vec<u8>),
    #[error("the kernel inside the image cannot be unpacked")]
    Decompress(#[source] DecompressError),
    #[error("the kernel unpacked to {found} bytes and the image says {expected}")]
    WrongLength { found: usize, expected: u32 },
    #[error("the kernel itself is no usable ELF file")]
    Elf(#[source] ElfError),
}

impl UnpackKernelError {
    /// The stable code of the error.
    pub fn code(&self) -> &'static str {
        match &self.0 {
            Reason::UnknownCompression(_)
            | Reason::Decompress(DecompressError::Unsupported { .. }) => {
                "KERNEL_COMPRESSION_UNSUPPORTED"
            }
            Reason::Elf(ElfError::WrongMachine { .. } | ElfError::WrongClass) => {
                "KERNEL_WRONG_ARCH"
            }
            _ => "INVALID_KERNEL_IMAGE",
        }
    }

    /// What the person who named the image can do.
    pub fn hint(&self) -> Option<String> {
        match self.code() {
            "KERNEL_COMPRESSION_UNSUPPORTED" => Some(
                "gzip, xz, zstd, LZ4 and LZO are read here; for another, unpack the kernel with \
                 its scripts/extract-vmlinux and import the vmlinux"
                    .to_owned(),
            ),
            "KERNEL_WRONG_ARCH" => Some("use a kernel for x86-64".to_owned()),
            _ => Some("the file is damaged: fetch or install the kernel again".to_owned()),
        }
    }
}

impl<'a> KernelImage<'a> {
    /// Unpacks the ELF kernel, at most 1 GiB, and checks that it can be booted.
    ///
    /// Holds the whole unpacked kernel in memory; an image that is ELF already is not copied.
    ///
    /// # Errors
    /// When the compression is not supported, the compressed kernel is damaged, or what comes out is
    /// no x86-64 ELF kernel with all of its segments.
    pub fn vmlinux(&self) -> Result<Cow<'a, [u8]>, UnpackKernelError> {
        let vmlinux = match self {
            Self::Elf(bytes) => Cow::Borrowed(*bytes),
            Self::BzImage { payload, .. } => Cow::Owned(unpack(payload)?),
        };
        elf::check_kernel(&vmlinux).map_err(Reason::Elf)?;
        Ok(vmlinux)
    }
}

fn unpack(payload: &[u8]) -> Result<Vec<u8>, Reason> {
    let unknown = || Reason::UnknownCompression(payload[..payload.len().min(6)].to_vec());
    // The oldest choice of all: CONFIG_KERNEL_UNCOMPRESSED.
    if payload.starts_with(b"\x7fELF") {
        return Ok(payload.to_vec());
    }
    let compression = Compression::detect(payload).ok_or_else(unknown)?;
    let body_length = payload.len().checked_sub(SIZE_TRAILER).ok_or_else(unknown)?;
    let body = if compression == Compression::Gzip { payload } else { &payload[..body_length] };
    let unpacked = compression.decompress(body, MAX_VMLINUX).map_err(Reason::Decompress)?;
    let expected = le32(payload, body_length).ok_or_else(unknown)?;
    if u32::try_from(unpacked.len()) != Ok(expected) {
        return Err(Reason::WrongLength { found: unpacked.len(), expected });
    }
    Ok(unpacked)
}

#[cfg(test)]
mod tests;
