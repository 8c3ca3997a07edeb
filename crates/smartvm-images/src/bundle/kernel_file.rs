//! The kernel of a bundle, as Firecracker loads it.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::base_image::Arch;
use crate::regular_file::{ReadFileError, read_regular};
use crate::{KernelImage, ParseImageError, UnpackKernelError};

const MAX_KERNEL: u64 = 512 << 20;
/// Where an arm64 image has its magic word.
const ARM64_MAGIC: std::ops::Range<usize> = 0x38..0x3c;

/// The reason why a file is no kernel for a bundle.
#[derive(Debug, Error)]
pub(super) enum ReadKernelError {
    #[error("failed to read the kernel")]
    Read(#[source] ReadFileError),
    #[error("failed to understand kernel `{}`", path.display())]
    Parse {
        path: PathBuf,
        #[source]
        source: ParseImageError,
    },
    #[error("failed to unpack kernel `{}`", path.display())]
    Unpack {
        path: PathBuf,
        #[source]
        source: UnpackKernelError,
    },
    #[error("`{}` is no arm64 kernel image", path.display())]
    NotArm64 { path: PathBuf },
}

impl ReadKernelError {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Read(_) => "KERNEL_UNREADABLE",
            Self::Parse { source, .. } => source.code(),
            Self::Unpack { source, .. } => source.code(),
            Self::NotArm64 { .. } => "INVALID_KERNEL_IMAGE",
        }
    }

    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Read(_) => None,
            Self::Parse { source, .. } => source.hint(),
            Self::Unpack { source, .. } => source.hint(),
            Self::NotArm64 { .. } => {
                Some("name an uncompressed `Image`, as the kernel's build makes it".to_owned())
            }
        }
    }
}

/// Reads a kernel; one that is packed as distributions do it is unpacked.
pub(super) fn read_kernel(path: &Path, arch: Arch) -> Result<Vec<u8>, ReadKernelError> {
    let bytes = read_regular(path, MAX_KERNEL).map_err(ReadKernelError::Read)?;
    match arch {
        Arch::Aarch64 if bytes.get(ARM64_MAGIC) == Some(b"ARM\x64") => Ok(bytes),
        Arch::Aarch64 => Err(ReadKernelError::NotArm64 { path: path.to_owned() }),
        Arch::X86_64 => {
            let image = KernelImage::parse(&bytes)
                .map_err(|source| ReadKernelError::Parse { path: path.to_owned(), source })?;
            let vmlinux = image
                .vmlinux()
                .map_err(|source| ReadKernelError::Unpack { path: path.to_owned(), source })?;
            Ok(vmlinux.into_owned())
        }
    }
}
