//! SHA-256 of what a snapshot holds.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use fs_err::File;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::extents::{Extents, read_exact_at};

/// What one read takes.
const STRIDE: usize = 1 << 20;

/// A SHA-256 in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256Digest(String);

impl Sha256Digest {
    /// The 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Of bytes.
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        Self::finish(Sha256::new_with_prefix(bytes))
    }

    /// Of the content of a file; holes count as the zeros that they read as.
    pub(super) fn of_file(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut hash = Sha256::new();
        update(&mut hash, &file, 0..size)?;
        Ok(Self::finish(hash))
    }

    /// Of the data of a sparse file, with its places. A page of zeros that was written and a page
    /// that was not are different things in a differential snapshot.
    pub(super) fn of_extents(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut hash = Sha256::new_with_prefix(size.to_le_bytes());
        let mut extents = Extents::of(file.as_fd(), size);
        while let Some(extent) = extents.next()? {
            hash.update(extent.start.to_le_bytes());
            hash.update(extent.end.to_le_bytes());
            update(&mut hash, &file, extent)?;
        }
        Ok(Self::finish(hash))
    }

    fn finish(hash: Sha256) -> Self {
        Self(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl TryFrom<String> for Sha256Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let hexadecimal = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if text.len() == 64 && hexadecimal {
            Ok(Self(text))
        } else {
            Err("a SHA-256 has 64 lower-case hexadecimal digits")
        }
    }
}

impl From<Sha256Digest> for String {
    fn from(digest: Sha256Digest) -> Self {
        digest.0
    }
}

fn update(hash: &mut Sha256, file: &File, range: std::ops::Range<u64>) -> io::Result<()> {
    let mut buffer = vec![0; STRIDE];
    let mut position = range.start;
    while position < range.end {
        let length = usize::try_from(range.end - position).unwrap_or(STRIDE).min(STRIDE);
        read_exact_at(file.as_fd(), &mut buffer[..length], position)?;
        hash.update(&buffer[..length]);
        position += length as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_files_have_the_hash_of_the_standard() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Sha256Digest::of_bytes(b"abc").as_str(), expected);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs_err::write(&path, "abc").unwrap();
        assert_eq!(Sha256Digest::of_file(&path).unwrap().as_str(), expected);
    }

    #[test]
    fn a_written_page_of_zeros_differs_from_a_hole() {
        let dir = tempfile::tempdir().unwrap();
        let (written, hole) = (dir.path().join("written"), dir.path().join("hole"));
        fs_err::write(&written, vec![0; 8192]).unwrap();
        File::create(&hole).unwrap().set_len(8192).unwrap();
        assert_eq!(Sha256Digest::of_file(&written).unwrap(), Sha256Digest::of_file(&hole).unwrap());
        assert_ne!(
            Sha256Digest::of_extents(&written).unwrap(),
            Sha256Digest::of_extents(&hole).unwrap()
        );
    }

    #[test]
    fn other_texts_are_no_hash() {
        for text in [String::new(), "A".repeat(64), "a".repeat(63), "g".repeat(64)] {
            assert!(Sha256Digest::try_from(text).is_err());
        }
    }
}
