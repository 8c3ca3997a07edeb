//! The file that a distribution calls its kernel: a bzImage, or an ELF `vmlinux`.
//!
//! A bzImage starts with a boot sector and setup code whose header ("HdrS" at 0x202) is part of the
//! Linux/x86 boot protocol; from its version 2.08 on it says where the compressed kernel lies.
//! See the kernel's `Documentation/arch/x86/boot.rst`.

use thiserror::Error;

use super::fields::{le16, le32};
use super::version::KernelVersion;

const SETUP_SECTS: usize = 0x1f1;
const BOOT_FLAG: usize = 0x1fe;
const HEADER_MAGIC: std::ops::Range<usize> = 0x202..0x206;
const PROTOCOL: usize = 0x206;
const KERNEL_VERSION: usize = 0x20e;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
/// The header's string offsets count from the end of the boot sector.
const SECTOR: usize = 0x200;
/// The first boot protocol with `payload_offset` and `payload_length` (Linux 2.6.24).
const FIRST_WITH_PAYLOAD: u16 = 0x0208;
/// What `setup_sects` means when it is zero.
const DEFAULT_SETUP_SECTS: usize = 4;

/// A kernel image whose parts were found, but not yet unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KernelImage<'a> {
    /// An x86 boot image with the kernel compressed inside.
    BzImage {
        /// The version string of the header, as written there.
        version: Option<&'a str>,
        /// The compressed kernel, with the length of the unpacked one in its last four bytes.
        payload: &'a [u8],
    },
    /// An uncompressed ELF kernel.
    Elf(&'a [u8]),
}

/// The reason why bytes are no kernel image.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseImageError {
    /// The bytes are something else than a kernel for this machine.
    #[error("not an x86-64 Linux kernel but {what}")]
    NotAKernel {
        /// What they look like.
        what: &'static str,
    },
    /// The image is older than the boot protocol that tells where the kernel lies.
    #[error(
        "the boot protocol {}.{:02} of the image is older than 2.08 (Linux 2.6.24)",
        .version >> 8, .version & 0xff
    )]
    TooOld {
        /// The boot protocol as in the header, 0x0207 for 2.07.
        version: u16,
    },
    /// The header points outside of the file.
    #[error("the image is cut short: {missing} is outside of its {size} bytes")]
    Truncated {
        /// The part that is not there.
        missing: &'static str,
        /// The bytes there are.
        size: usize,
    },
}

impl ParseImageError {
    /// The stable code of the error.
    pub fn code(&self) -> &'static str {
        "INVALID_KERNEL_IMAGE"
    }

    /// What the person who named the image can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotAKernel { .. } | Self::TooOld { .. } => {
                Some("name a distribution's /boot/vmlinuz-VERSION, or an ELF vmlinux".to_owned())
            }
            Self::Truncated { .. } => {
                Some("the file is incomplete: fetch or install the kernel again".to_owned())
            }
        }
    }
}

impl<'a> KernelImage<'a> {
    /// Finds the parts of a kernel image.
    ///
    /// # Errors
    /// When the bytes are no bzImage and no ELF file, or a bzImage that is older than Linux 2.6.24
    /// or cut short. An ELF file is looked into only when it is unpacked.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseImageError> {
        if bytes.starts_with(b"\x7fELF") {
            return Ok(Self::Elf(bytes));
        }
        if le16(bytes, BOOT_FLAG) != Some(0xaa55) || bytes.get(HEADER_MAGIC) != Some(b"HdrS") {
            return Err(ParseImageError::NotAKernel { what: describe(bytes) });
        }
        let truncated = |missing| ParseImageError::Truncated { missing, size: bytes.len() };
        let version = le16(bytes, PROTOCOL).ok_or_else(|| truncated("the boot header"))?;
        if version < FIRST_WITH_PAYLOAD {
            return Err(ParseImageError::TooOld { version });
        }
        let field = |offset| le32(bytes, offset).ok_or_else(|| truncated("the boot header"));
        let payload =
            payload_range(bytes[SETUP_SECTS], field(PAYLOAD_OFFSET)?, field(PAYLOAD_LENGTH)?)
                .and_then(|range| bytes.get(range))
                .filter(|payload| !payload.is_empty())
                .ok_or_else(|| truncated("the compressed kernel"))?;
        Ok(Self::BzImage { version: version_string(bytes), payload })
    }

    /// The version that a bzImage's header gives; an ELF file must be searched for it.
    pub fn version(&self) -> Option<KernelVersion> {
        match self {
            Self::BzImage { version, .. } => KernelVersion::from_header((*version)?),
            Self::Elf(_) => None,
        }
    }
}

fn payload_range(setup_sects: u8, offset: u32, length: u32) -> Option<std::ops::Range<usize>> {
    let sectors = match setup_sects {
        0 => DEFAULT_SETUP_SECTS,
        some => usize::from(some),
    };
    let start = ((sectors + 1) * SECTOR).checked_add(usize::try_from(offset).ok()?)?;
    Some(start..start.checked_add(usize::try_from(length).ok()?)?)
}

fn version_string(bytes: &[u8]) -> Option<&str> {
    let offset = le16(bytes, KERNEL_VERSION).filter(|offset| *offset != 0)?;
    let text = bytes.get(usize::from(offset) + SECTOR..)?;
    let text = text.get(..256).unwrap_or(text);
    let end = text.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(&text[..end]).ok()
}

/// Names what people pass for a kernel by mistake.
fn describe(bytes: &[u8]) -> &'static str {
    let start = &bytes[..bytes.len().min(512)];
    if bytes.is_empty() {
        "an empty file"
    } else if bytes.get(0x38..0x3c) == Some(b"ARM\x64") {
        "an arm64 kernel image"
    } else if start.starts_with(b"070701") {
        "an initramfs"
    } else if start.starts_with(b"!<arch>") {
        "a Debian package"
    } else if start.starts_with(b"\xed\xab\xee\xdb") {
        "an RPM package"
    } else if super::compression::Compression::detect(start).is_some() {
        "a compressed file in compressed files"
    } else if start.starts_with(b"MZ") {
        "a program for EFI or Windows without a Linux kernel in it"
    } else if start.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~')) {
        "text"
    } else {
        "data without a boot header"
    }
}

#[cfg(test)]
mod tests;
