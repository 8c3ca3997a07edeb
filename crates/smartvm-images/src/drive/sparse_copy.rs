//! Copying a file without its holes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::SeekFrom;
use rustix::io::Errno;

/// What one `copy_file_range` is asked for; the kernel may do less.
const STRIDE: u64 = 1 << 30;
const BUFFER: usize = 1 << 20;

/// Copies the data of `source` to the same places of the empty file `target`, and gives `target` the
/// size `size`. Returns the number of bytes that were written; holes are not.
///
/// # Errors
/// When reading or writing fails, or `source` becomes shorter meanwhile.
pub(super) fn sparse_copy(
    source: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
    size: u64,
) -> io::Result<u64> {
    rustix::fs::ftruncate(target, size)?;
    let mut copier = Copier { source, target, in_kernel: true, buffer: Vec::new() };
    let mut copied = 0;
    let mut position = 0;
    while let Some((start, end)) = next_data(source, position, size)? {
        copier.copy(start, end)?;
        copied += end - start;
        position = end;
    }
    Ok(copied)
}

/// The next stretch of data at or after `position`, within `size`.
fn next_data(source: BorrowedFd<'_>, position: u64, size: u64) -> io::Result<Option<(u64, u64)>> {
    if position >= size {
        return Ok(None);
    }
    let start = match rustix::fs::seek(source, SeekFrom::Data(position)) {
        Ok(start) => start,
        // Nothing but a hole up to the end.
        Err(Errno::NXIO) => return Ok(None),
        // The file system does not know about holes: all is data.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some((position, size))),
        Err(error) => return Err(error.into()),
    };
    if start >= size {
        return Ok(None);
    }
    let end = rustix::fs::seek(source, SeekFrom::Hole(start))?;
    Ok(Some((start, end.min(size))))
}

struct Copier<'a> {
    source: BorrowedFd<'a>,
    target: BorrowedFd<'a>,
    /// Whether `copy_file_range` still looks as if it worked here.
    in_kernel: bool,
    buffer: Vec<u8>,
}

impl Copier<'_> {
    fn copy(&mut self, start: u64, end: u64) -> io::Result<()> {
        let mut position = start;
        while position < end {
            let copied = if self.in_kernel {
                self.copy_in_kernel(position, end)?
            } else {
                self.copy_through_buffer(position, end)?
            };
            position += copied;
        }
        Ok(())
    }

    /// Zero when it turned out not to work between these two files.
    fn copy_in_kernel(&mut self, position: u64, end: u64) -> io::Result<u64> {
        let (mut from, mut to) = (position, position);
        let length = usize::try_from((end - position).min(STRIDE)).unwrap_or(BUFFER);
        let copied = rustix::io::retry_on_intr(|| {
            rustix::fs::copy_file_range(
                self.source.as_fd(),
                Some(&mut from),
                self.target.as_fd(),
                Some(&mut to),
                length,
            )
        });
        match copied {
            // Zero is what some file systems say instead of refusing; if the file did become shorter,
            // the other way will tell.
            Ok(0)
            | Err(
                Errno::XDEV
                | Errno::INVAL
                | Errno::OPNOTSUPP
                | Errno::NOSYS
                | Errno::PERM
                | Errno::BADF,
            ) => {
                self.in_kernel = false;
                Ok(0)
            }
            Ok(copied) => Ok(copied as u64),
            Err(error) => Err(error.into()),
        }
    }

    fn copy_through_buffer(&mut self, position: u64, end: u64) -> io::Result<u64> {
        self.buffer.resize(BUFFER, 0);
        let length = usize::try_from(end - position).unwrap_or(BUFFER).min(BUFFER);
        let buffer = &mut self.buffer[..length];
        let count =
            rustix::io::retry_on_intr(|| rustix::io::pread(self.source, &mut *buffer, position))?;
        if count == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file became shorter while it was copied",
            ));
        }
        let mut written = 0;
        while written < count {
            let at = position + written as u64;
            let rest = &self.buffer[written..count];
            written += rustix::io::retry_on_intr(|| rustix::io::pwrite(self.target, rest, at))?;
        }
        Ok(count as u64)
    }
}

#[cfg(test)]
mod tests;
