//! Files that have a kernel image in them: a compressed file, an EFI zboot image, a unified kernel image.
//!
//! * A zboot image (`CONFIG_EFI_ZBOOT`, `drivers/firmware/efi/libstub/zboot-header.S`): `MZ`, `zimg` at 4, where the
//!   compressed image is at 8, its length at 12, the compression's name at 24.
//! * A unified kernel image (the UAPI group's specification): a PE file with the image in the section `.linux`.

use thiserror::Error;

use super::compression::{Compression, DecompressError};
use super::fields::{le16, le32};
use super::payload::MAX_VMLINUX;

/// A kernel in a unified image in a compressed file, and one more.
const DEPTH: usize = 3;

const PE_HEADER_AT: usize = 0x3c;
/// The length of PE's magic number and COFF header.
const COFF_HEADER: usize = 24;
const SECTION: usize = 40;
const HDRS: std::ops::Range<usize> = 0x202..0x206;

/// The reason why a file that has a kernel image in it gave none.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct OpenContainerError(#[from] Reason);

#[derive(Debug, Error)]
enum Reason {
    #[error("{what} is cut short: the kernel in it is outside of its {size} bytes")]
    Truncated { what: &'static str, size: usize },
    #[error("{what} is compressed in a way that is unknown here: {name}")]
    UnknownCompression { what: &'static str, name: String },
    #[error("{what} cannot be unpacked")]
    Decompress {
        what: &'static str,
        #[source]
        source: DecompressError,
    },
}

impl OpenContainerError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match &self.0 {
            Reason::UnknownCompression { .. }
            | Reason::Decompress { source: DecompressError::Unsupported { .. }, .. } => {
                "KERNEL_COMPRESSION_UNSUPPORTED"
            }
            Reason::Truncated { .. } | Reason::Decompress { .. } => "INVALID_KERNEL_IMAGE",
        }
    }

    /// What the person who named the file can do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self.code() {
            "KERNEL_COMPRESSION_UNSUPPORTED" => "gzip, xz, zstd, LZ4 and LZO are read here",
            _ => "the file is incomplete or damaged: fetch or install the kernel again",
        };
        Some(hint.to_owned())
    }
}

/// The kernel image inside of `bytes`, if they are a compressed file, an EFI zboot image or a unified kernel image, also one in
/// another, else the bytes themselves. At most 1 GiB comes out of each, and is held in memory.
///
/// # Errors
/// When one of them is cut short, damaged, or compressed in a way that cannot be unpacked here.
pub fn open_kernel_containers(mut bytes: Vec<u8>) -> Result<Vec<u8>, OpenContainerError> {
    for _ in 0..DEPTH {
        match open_one(&bytes)? {
            Some(inner) => bytes = inner,
            None => break,
        }
    }
    Ok(bytes)
}

fn open_one(bytes: &[u8]) -> Result<Option<Vec<u8>>, Reason> {
    if let Some(compression) = Compression::detect(bytes) {
        return decompress("the file", compression, bytes).map(Some);
    }
    // A bzImage is a PE file too where its kernel can be started by EFI.
    if !bytes.starts_with(b"MZ") || bytes.get(HDRS) == Some(b"HdrS") {
        return Ok(None);
    }
    if bytes.get(4..8) == Some(b"zimg") {
        return zboot(bytes).map(Some);
    }
    match linux_section(bytes) {
        None => Ok(None),
        Some(range) => match bytes.get(range) {
            Some(linux) => Ok(Some(linux.to_vec())),
            None => Err(truncated("the unified kernel image", bytes)),
        },
    }
}

fn zboot(bytes: &[u8]) -> Result<Vec<u8>, Reason> {
    const WHAT: &str = "the EFI zboot image";
    let field = |at| le32(bytes, at).and_then(|value| usize::try_from(value).ok());
    let range = field(8).zip(field(12)).and_then(|(at, length)| Some(at..at.checked_add(length)?));
    let payload = range.and_then(|range| bytes.get(range)).filter(|payload| !payload.is_empty());
    let payload = payload.ok_or_else(|| truncated(WHAT, bytes))?;
    match Compression::detect(payload) {
        Some(compression) => decompress(WHAT, compression, payload),
        None => {
            let name = bytes.get(24..56).unwrap_or_default();
            let name = name.iter().take_while(|byte| **byte != 0).copied().collect::<Vec<_>>();
            Err(Reason::UnknownCompression { what: WHAT, name: name.escape_ascii().to_string() })
        }
    }
}

/// Where the section `.linux` of a PE file lies; none when it has none.
fn linux_section(bytes: &[u8]) -> Option<std::ops::Range<usize>> {
    let header = usize::try_from(le32(bytes, PE_HEADER_AT)?).ok()?;
    let at = |offset: usize| header.checked_add(offset);
    if bytes.get(header..at(4)?)? != b"PE\0\0" {
        return None;
    }
    let sections = usize::from(le16(bytes, at(6)?)?);
    let optional = usize::from(le16(bytes, at(20)?)?);
    let table = at(COFF_HEADER + optional)?;
    (0..sections).find_map(|number| {
        let section = table.checked_add(number * SECTION)?;
        if bytes.get(section..section.checked_add(8)?)? != b".linux\0\0" {
            return None;
        }
        let field = |offset| usize::try_from(le32(bytes, section + offset)?).ok();
        // What it has in memory may be less than what it has in the file, which is padded.
        let (in_memory, in_file, start) = (field(8)?, field(16)?, field(20)?);
        Some(start..start.checked_add(in_memory.min(in_file))?)
    })
}

fn decompress(
    what: &'static str,
    compression: Compression,
    bytes: &[u8],
) -> Result<Vec<u8>, Reason> {
    let unpacked = compression.decompress(bytes, MAX_VMLINUX);
    unpacked.map_err(|source| Reason::Decompress { what, source })
}

fn truncated(what: &'static str, bytes: &[u8]) -> Reason {
    Reason::Truncated { what, size: bytes.len() }
}

#[cfg(test)]
mod tests;
