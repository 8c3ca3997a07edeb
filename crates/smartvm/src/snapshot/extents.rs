//! Where a sparse file has data.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

/// The stretches of data of a file, in order, as `start..end` in bytes. Two neighbours are one.
pub(super) struct Extents<'a> {
    file: BorrowedFd<'a>,
    size: u64,
    position: u64,
}

impl<'a> Extents<'a> {
    /// Of the first `size` bytes of `file`.
    pub(super) fn of(file: BorrowedFd<'a>, size: u64) -> Self {
        Self { file, size, position: 0 }
    }

    /// The next stretch. Where the file system knows no holes, all is data.
    pub(super) fn next(&mut self) -> io::Result<Option<std::ops::Range<u64>>> {
        if self.position >= self.size {
            return Ok(None);
        }
        let start = match rustix::fs::seek(self.file, SeekFrom::Data(self.position)) {
            Ok(start) => start,
            // Nothing but a hole up to the end.
            Err(Errno::NXIO) => self.size,
            Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                let rest = self.position..self.size;
                self.position = self.size;
                return Ok(Some(rest));
            }
            Err(error) => return Err(error.into()),
        };
        if start >= self.size {
            self.position = self.size;
            return Ok(None);
        }
        let mut end = rustix::fs::seek(self.file, SeekFrom::Hole(start))?.min(self.size);
        // Some file systems report data in pieces.
        while end < self.size {
            match rustix::fs::seek(self.file, SeekFrom::Data(end)) {
                Ok(next) if next == end => {
                    end = rustix::fs::seek(self.file, SeekFrom::Hole(end))?.min(self.size);
                }
                Ok(_) | Err(Errno::NXIO) => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.position = end;
        Ok(Some(start..end))
    }
}

/// Fills `buffer` from `position` of `file`.
///
/// # Errors
/// `UnexpectedEof` when the file ends before.
pub(super) fn read_exact_at(
    file: BorrowedFd<'_>,
    mut buffer: &mut [u8],
    mut position: u64,
) -> io::Result<()> {
    while !buffer.is_empty() {
        let count = rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut *buffer, position))?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer = &mut buffer[count..];
        position += count as u64;
    }
    Ok(())
}

/// Writes all of `bytes` at `position` of `file`.
pub(super) fn write_all_at(
    file: BorrowedFd<'_>,
    mut bytes: &[u8],
    mut position: u64,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = rustix::io::retry_on_intr(|| rustix::io::pwrite(file, bytes, position))?;
        bytes = &bytes[count..];
        position += count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn data_is_found_between_holes() {
        let file = tempfile::tempfile().unwrap();
        let size = 1 << 20;
        file.set_len(size).unwrap();
        for at in [0, 4096, 65536, size - 4096] {
            write_all_at(file.as_fd(), &[0; 4096], at).unwrap();
        }
        let mut extents = Extents::of(file.as_fd(), size);
        let mut found = Vec::new();
        while let Some(extent) = extents.next().unwrap() {
            found.push(extent);
        }
        assert_eq!(found, [0..8192, 65536..69632, size - 4096..size]);
    }

    #[test]
    fn a_file_that_ends_too_soon_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10).unwrap();
        let mut buffer = [0; 11];
        let error = read_exact_at(file.as_fd(), &mut buffer, 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
