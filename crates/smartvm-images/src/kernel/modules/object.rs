//! Reading one module's file.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::kernel::compression::{Compression, DecompressError};
use crate::regular_file::{ReadFileError, read_regular};

/// The largest module of a distribution has less than 20 MiB.
const MAX_MODULE: usize = 128 << 20;

/// The reason why a module's file could not be used.
#[derive(Debug, Error)]
pub(in crate::kernel) enum ReadModuleError {
    #[error("failed to find `{}`", path.display())]
    Find {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{}` is a link out of the modules' directory, to a file of another user", path.display())]
    Outside { path: PathBuf },
    #[error("failed to read a module")]
    Read(#[source] ReadFileError),
    #[error("failed to unpack `{}`", path.display())]
    Unpack {
        path: PathBuf,
        #[source]
        source: DecompressError,
    },
    #[error("`{}` is not a kernel module", path.display())]
    NotAModule { path: PathBuf },
}

/// Reads a module below `root`, unpacked when it is compressed.
///
/// `root` must be canonical: links may lead around inside of it, and out only to files of root and of our own, as in a
/// store of packages that a distribution's directories are made of.
pub(super) fn read_module(root: &Path, relative: &str) -> Result<Vec<u8>, ReadModuleError> {
    let path = root.join(relative);
    let real = fs_err::canonicalize(&path)
        .map_err(|source| ReadModuleError::Find { path: path.clone(), source })?;
    if !real.starts_with(root) && !is_trusted(&real) {
        return Err(ReadModuleError::Outside { path });
    }
    let mut bytes = read_regular(&real, MAX_MODULE as u64).map_err(ReadModuleError::Read)?;
    if let Some(compression) = Compression::detect(&bytes) {
        bytes = compression
            .decompress(&bytes, MAX_MODULE)
            .map_err(|source| ReadModuleError::Unpack { path: path.clone(), source })?;
    }
    if bytes.starts_with(b"\x7fELF") {
        Ok(bytes)
    } else {
        Err(ReadModuleError::NotAModule { path })
    }
}

fn is_trusted(file: &Path) -> bool {
    let us = rustix::process::geteuid().as_raw();
    fs_err::metadata(file)
        .is_ok_and(|found| (found.uid() == 0 || found.uid() == us) && found.mode() & 0o022 == 0)
}

/// The kernel version that a module says it was built for.
pub(super) fn built_for(module: &[u8]) -> Option<&str> {
    const KEY: &[u8] = b"\0vermagic=";
    let at = module.windows(KEY.len()).position(|window| window == KEY)?;
    let value = &module[at + KEY.len()..];
    let end = value.iter().position(|byte| matches!(byte, b' ' | 0))?;
    std::str::from_utf8(&value[..end]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples;

    #[test]
    fn a_link_out_of_the_directory_leads_to_files_that_nobody_else_can_change_or_nowhere() {
        let outside = tempfile::tempdir().unwrap();
        fs_err::write(outside.path().join("a.ko"), samples::module("6.1.0")).unwrap();
        let mode = |mode| {
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
            fs_err::set_permissions(outside.path().join("a.ko"), permissions).unwrap();
        };
        let dir = tempfile::tempdir().unwrap();
        let root = fs_err::canonicalize(dir.path()).unwrap();
        fs_err::os::unix::fs::symlink(outside.path().join("a.ko"), root.join("a.ko")).unwrap();
        fs_err::write(root.join("b.ko"), samples::module("6.1.0")).unwrap();
        fs_err::os::unix::fs::symlink("b.ko", root.join("c.ko")).unwrap();
        mode(0o646);
        assert!(matches!(read_module(&root, "a.ko"), Err(ReadModuleError::Outside { .. })));
        mode(0o444);
        assert_eq!(read_module(&root, "a.ko").unwrap(), samples::module("6.1.0"));
        assert_eq!(read_module(&root, "c.ko").unwrap(), samples::module("6.1.0"));
    }

    #[test]
    fn compressed_modules_are_unpacked_whatever_their_name() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs_err::canonicalize(dir.path()).unwrap();
        let module = samples::module("6.1.0");
        for (file, packed) in [
            ("a.ko.xz", samples::xz(&module)),
            ("a.ko.zst", samples::zstd(&module)),
            ("a.ko.gz", samples::gzip(&module)),
            ("plain.ko", module.clone()),
        ] {
            fs_err::write(root.join(file), packed).unwrap();
            assert_eq!(read_module(&root, file).unwrap(), module, "{file}");
        }
        let mut damaged = samples::xz(&module);
        damaged.truncate(damaged.len() / 2);
        fs_err::write(root.join("damaged.ko.xz"), damaged).unwrap();
        let error = read_module(&root, "damaged.ko.xz").unwrap_err();
        assert!(matches!(error, ReadModuleError::Unpack { .. }), "{error}");
        fs_err::write(root.join("text.ko"), "text").unwrap();
        let error = read_module(&root, "text.ko").unwrap_err();
        assert!(matches!(error, ReadModuleError::NotAModule { .. }), "{error}");
    }

    #[test]
    fn the_version_is_read_from_vermagic() {
        assert_eq!(built_for(&samples::module("6.1.0-56-amd64")), Some("6.1.0-56-amd64"));
        assert_eq!(built_for(b"\x7fELF"), None);
    }
}
