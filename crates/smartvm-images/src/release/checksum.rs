//! The checksum that is published beside an archive.

use thiserror::Error;

use crate::Sha256Digest;
use crate::quoted::Quoted;

/// The text is not the checksum of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseChecksumError {
    /// It holds none.
    #[error("it holds no SHA-256 and name")]
    NotAChecksum,
    /// It is of another file.
    #[error("it is the checksum of {}", Quoted(name))]
    OtherFile {
        /// The file's name.
        name: String,
    },
}

/// Reads a line as `sha256sum` writes it, `HASH  NAME`, which must be about `file`. A hash alone is
/// taken too.
pub(super) fn parse(text: &[u8], file: &str) -> Result<Sha256Digest, ParseChecksumError> {
    let text = std::str::from_utf8(text).map_err(|_| ParseChecksumError::NotAChecksum)?;
    let line = text.lines().next().unwrap_or_default();
    let (hash, name) = line.split_once(' ').unwrap_or((line, ""));
    let hash = hash.parse().map_err(|_| ParseChecksumError::NotAChecksum)?;
    // Two blanks for text, a blank and a star for binary.
    let name = name.trim_start_matches([' ', '*']).trim_end();
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.is_empty() || last == file {
        return Ok(hash);
    }
    Err(ParseChecksumError::OtherFile { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_sha256sum_is_read_when_it_is_about_the_file() {
        let hash = Sha256Digest::of(b"x");
        for text in [format!("{hash}  f.tgz\n"), format!("{hash} *./f.tgz\n"), hash.to_string()] {
            assert_eq!(parse(text.as_bytes(), "f.tgz"), Ok(hash), "{text}");
        }
        let other = parse(format!("{hash}  g.tgz").as_bytes(), "f.tgz");
        assert_eq!(other, Err(ParseChecksumError::OtherFile { name: "g.tgz".to_owned() }));
        for text in [&b""[..], b"abc  f.tgz", b"\xff", b"<html>"] {
            assert_eq!(parse(text, "f.tgz"), Err(ParseChecksumError::NotAChecksum));
        }
    }
}
