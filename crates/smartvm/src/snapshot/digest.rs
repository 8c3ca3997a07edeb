//! SHA-256 of what a snapshot holds.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use fs_err::File;
use sha2::{Digest, Sha256};
use smartvm_images::{ReadFileError, Sha256Digest};

use super::extents::{Extents, read_exact_at};

/// What one read takes.
const STRIDE: usize = 1 << 20;

/// Of the content of a file; holes count as the zeros that they read as.
pub(super) fn digest_of_file(path: &Path) -> io::Result<Sha256Digest> {
    Sha256Digest::of_file(path).map_err(|error| match error {
        ReadFileError::Io { source, .. } => source,
        error => io::Error::other(error),
    })
}

/// Of the data of a sparse file, with its places. A page of zeros that was written and a page
/// that was not are different things in a differential snapshot.
pub(super) fn digest_of_extents(path: &Path) -> io::Result<Sha256Digest> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut hash = Sha256::new_with_prefix(size.to_le_bytes());
    let mut extents = Extents::of(file.as_fd(), size);
    let mut buffer = vec![0; STRIDE];
    while let Some(extent) = extents.next()? {
        hash.update(extent.start.to_le_bytes());
        hash.update(extent.end.to_le_bytes());
        let mut position = extent.start;
        while position < extent.end {
            let length = usize::try_from(extent.end - position).unwrap_or(STRIDE).min(STRIDE);
            read_exact_at(file.as_fd(), &mut buffer[..length], position)?;
            hash.update(&buffer[..length]);
            position += length as u64;
        }
    }
    Ok(hash.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_page_of_zeros_differs_from_a_hole() {
        let dir = tempfile::tempdir().unwrap();
        let (written, hole) = (dir.path().join("written"), dir.path().join("hole"));
        fs_err::write(&written, vec![0; 8192]).unwrap();
        File::create(&hole).unwrap().set_len(8192).unwrap();
        assert_eq!(digest_of_file(&written).unwrap(), digest_of_file(&hole).unwrap());
        assert_ne!(digest_of_extents(&written).unwrap(), digest_of_extents(&hole).unwrap());
    }
}
