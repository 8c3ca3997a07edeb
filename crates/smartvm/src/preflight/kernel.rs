//! Is the kernel one that Firecracker boots?

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fs_err::File;

/// A kernel or initial RAM disk that cannot be booted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KernelUnusable {
    /// The kernel cannot be read. Code `KERNEL_UNREADABLE`.
    #[error("cannot read kernel {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel is still packed. Code `INVALID_KERNEL_IMAGE`.
    #[error("kernel {} is a compressed bzImage, and Firecracker boots only an unpacked one", path.display())]
    Packed {
        /// The file.
        path: PathBuf,
    },
    /// The file is no kernel at all. Code `INVALID_KERNEL_IMAGE`.
    #[error("{} is not a kernel: {found}", path.display())]
    NotAKernel {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: &'static str,
    },
    /// The initial RAM disk cannot be read. Code `INITRD_UNREADABLE`.
    #[error("cannot read initrd {}", path.display())]
    InitrdUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl KernelUnusable {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "KERNEL_UNREADABLE",
            Self::Packed { .. } | Self::NotAKernel { .. } => "INVALID_KERNEL_IMAGE",
            Self::InitrdUnreadable { .. } => "INITRD_UNREADABLE",
        }
    }

    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Packed { path } => {
                Some(format!("unpack it once: smartvm kernel import {}", path.display()))
            }
            Self::NotAKernel { .. } => Some(format!(
                "Firecracker boots an uncompressed ELF kernel (vmlinux) for {}",
                std::env::consts::ARCH
            )),
            Self::Unreadable { .. } | Self::InitrdUnreadable { .. } => None,
        }
    }
}

/// Looks at the first bytes of the kernel.
pub(super) fn check(path: &Path) -> Result<(), KernelUnusable> {
    let mut head = Vec::new();
    open_file(path)
        .and_then(|file| file.take(0x206).read_to_end(&mut head))
        .map_err(|source| KernelUnusable::Unreadable { path: path.to_owned(), source })?;
    let not_a_kernel = |found| KernelUnusable::NotAKernel { path: path.to_owned(), found };

    if cfg!(target_arch = "aarch64") {
        // Firecracker takes the PE image there, whose header has this magic at 56.
        return match head.get(56..60) {
            Some(b"ARM\x64") => Ok(()),
            _ => Err(not_a_kernel("it has no arm64 image header")),
        };
    }
    if head.get(0x202..0x206) == Some(b"HdrS") {
        return Err(KernelUnusable::Packed { path: path.to_owned() });
    }
    match head.get(..20) {
        Some([0x7f, b'E', b'L', b'F', 2, 1, .., machine_low, machine_high]) => {
            const EM_X86_64: u16 = 62;
            if u16::from_le_bytes([*machine_low, *machine_high]) == EM_X86_64 {
                Ok(())
            } else {
                Err(not_a_kernel("it is an ELF file for another processor"))
            }
        }
        Some([0x7f, b'E', b'L', b'F', ..]) => {
            Err(not_a_kernel("it is an ELF file, but not a 64-bit little-endian one"))
        }
        Some(_) => Err(not_a_kernel("it is not an ELF file")),
        None => Err(not_a_kernel("it is too short")),
    }
}

/// Sees that the initial RAM disk can be read.
pub(super) fn check_initrd(path: &Path) -> Result<(), KernelUnusable> {
    open_file(path)
        .map(drop)
        .map_err(|source| KernelUnusable::InitrdUnreadable { path: path.to_owned(), source })
}

fn open_file(path: &Path) -> io::Result<File> {
    // Look before opening: opening a FIFO would wait for a writer.
    if fs_err::metadata(path)?.is_file() {
        File::open(path)
    } else {
        Err(io::Error::other("not a regular file"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(content: &[u8]) -> Result<(), &'static str> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kernel");
        fs_err::write(&path, content).unwrap();
        check(&path).map_err(|error| error.code())
    }

    fn elf(class: u8, machine: u16) -> Vec<u8> {
        let mut head = vec![0x7f, b'E', b'L', b'F', class, 1];
        head.resize(18, 0);
        head.extend(machine.to_le_bytes());
        head.resize(64, 0);
        head
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn only_an_unpacked_kernel_for_this_processor_passes() {
        assert_eq!(code_of(&elf(2, 62)), Ok(()));
        let mut bz_image = vec![0; 0x400];
        bz_image[0x202..0x206].copy_from_slice(b"HdrS");
        for content in
            [&elf(2, 183), &elf(1, 62), &bz_image, &b"#!/bin/sh\necho a text\n".to_vec(), &vec![]]
        {
            assert_eq!(code_of(content), Err("INVALID_KERNEL_IMAGE"));
        }
    }

    #[test]
    fn what_is_no_regular_file_is_unreadable() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().to_owned(), dir.path().join("missing"), "/dev/null".into()] {
            assert_eq!(check(&path).unwrap_err().code(), "KERNEL_UNREADABLE");
            assert_eq!(check_initrd(&path).unwrap_err().code(), "INITRD_UNREADABLE");
        }
    }
}
