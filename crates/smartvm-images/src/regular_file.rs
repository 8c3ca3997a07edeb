//! Reading a whole regular file whose size is not to be trusted.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use smartvm_dir::FileAt;
use thiserror::Error;

/// The reason why a file was not read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadFileError {
    /// It is a directory, a device, a pipe or a socket.
    #[error("`{}` is {kind}, not a regular file", path.display())]
    NotRegular {
        /// The file as it was named.
        path: PathBuf,
        /// What it is instead, with its article.
        kind: &'static str,
    },
    /// It holds more bytes than such a file may.
    #[error("`{}` is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file as it was named.
        path: PathBuf,
        /// The most bytes that are accepted.
        limit: u64,
    },
    /// The operating system refused.
    #[error("failed to read `{}`", path.display())]
    Io {
        /// The file as it was named.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
}

/// Opens a regular file for reading, following links; never blocks on a pipe.
pub(crate) fn open_regular(path: &Path) -> Result<fs_err::File, ReadFileError> {
    open_regular_at(&FileAt::from(path))
}

/// The same for a file in a directory that is open; links are not followed there.
pub(crate) fn open_regular_at(file: &FileAt) -> Result<fs_err::File, ReadFileError> {
    let path = file.path();
    let io_error = |source| ReadFileError::Io { path: path.to_owned(), source };
    let file = file.open(OFlags::RDONLY, Mode::empty()).map_err(io_error)?;
    let file_type = file.metadata().map_err(io_error)?.file_type();
    if file_type.is_file() {
        return Ok(file);
    }
    Err(ReadFileError::NotRegular { path: path.to_owned(), kind: kind_of(file_type) })
}

/// Reads a regular file of at most `limit` bytes.
pub(crate) fn read_regular(path: &Path, limit: u64) -> Result<Vec<u8>, ReadFileError> {
    let io_error = |source| ReadFileError::Io { path: path.to_owned(), source };
    let too_large = || ReadFileError::TooLarge { path: path.to_owned(), limit };
    let file = open_regular(path)?;
    let size = file.metadata().map_err(io_error)?.len();
    if size > limit {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    // The file may grow while it is read, and files of some file systems have no size.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(io_error)?;
    if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(bytes) }
}

pub(crate) fn kind_of(file_type: std::fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    if file_type.is_dir() {
        "a directory"
    } else if file_type.is_block_device() {
        "a block device"
    } else if file_type.is_char_device() {
        "a character device"
    } else if file_type.is_fifo() {
        "a pipe"
    } else if file_type.is_socket() {
        "a socket"
    } else {
        "something else"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_without_a_writer_is_refused_and_does_not_block() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let error = read_regular(&pipe, 10).unwrap_err();
        assert!(matches!(error, ReadFileError::NotRegular { kind: "a pipe", .. }), "{error}");
    }

    #[test]
    fn a_directory_and_a_device_are_named_as_such() {
        let dir = tempfile::tempdir().unwrap();
        let error = read_regular(dir.path(), 10).unwrap_err();
        assert!(error.to_string().contains("a directory"), "{error}");
        let error = read_regular(Path::new("/dev/zero"), 10).unwrap_err();
        assert!(error.to_string().contains("a character device"), "{error}");
    }

    #[test]
    fn the_limit_itself_is_accepted_and_one_byte_more_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs_err::write(&path, b"12345").unwrap();
        assert_eq!(read_regular(&path, 5).unwrap(), b"12345");
        assert!(matches!(read_regular(&path, 4), Err(ReadFileError::TooLarge { limit: 4, .. })));
    }
}
