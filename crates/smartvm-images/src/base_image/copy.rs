//! Copying a file of this host into a bundle, hashed on the way.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use fs_err::os::unix::fs::OpenOptionsExt;
use sha2::{Digest, Sha256};

use super::base_image_error::PrepareError;
use super::resolved::{FetchedFile, ResolvedFile};
use crate::regular_file::open_regular;

const CHUNK: usize = 256 << 10;

/// Copies `source` to `target`, whose directory nobody else writes to. Blocks. What is nothing but
/// zeros becomes a hole.
pub(super) fn copy(
    source: &Path,
    target: &Path,
    expected: &ResolvedFile,
) -> Result<FetchedFile, PrepareError> {
    let mut from = open_regular(source)?;
    let found = write_copy(&mut from, target)?;
    let wrong = |what, expected: String, found: String| {
        let path = source.to_owned();
        Err(PrepareError::WrongSource { path, what, expected, found })
    };
    match (expected.size, expected.sha256) {
        (Some(size), _) if size != found.size => {
            wrong("a size of", size.to_string(), found.size.to_string())
        }
        (_, Some(sha256)) if sha256 != found.sha256 => {
            wrong("the SHA-256", sha256.to_string(), found.sha256.to_string())
        }
        _ => Ok(found),
    }
}

fn write_copy(from: &mut fs_err::File, target: &Path) -> Result<FetchedFile, PrepareError> {
    let fail = |source| PrepareError::Io { action: "write", path: target.to_owned(), source };
    let source_path = from.path().to_owned();
    let unread = |source| {
        PrepareError::Source(crate::ReadFileError::Io { path: source_path.clone(), source })
    };
    let mut to = fs_err::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        // A jailed VM, which is another user, may be given the file by a link.
        .mode(0o644)
        .open(target)
        .map_err(fail)?;
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0, vec![0; CHUNK]);
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unread(error)),
        };
        let bytes = &buffer[..count];
        hash.update(bytes);
        size += count as u64;
        if bytes.iter().all(|byte| *byte == 0) {
            to.seek(SeekFrom::Start(size)).map_err(fail)?;
        } else {
            to.write_all(bytes).map_err(fail)?;
        }
    }
    // A hole at the end has been sought over only.
    to.set_len(size).map_err(fail)?;
    to.sync_all().map_err(fail)?;
    Ok(FetchedFile { sha256: hash.into(), size })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::super::resolved::Origin;
    use super::*;
    use crate::Sha256Digest;

    #[test]
    fn a_copy_is_the_same_and_keeps_holes() {
        let dir = tempfile::tempdir().unwrap();
        let (source, target) = (dir.path().join("a"), dir.path().join("b"));
        let mut content = vec![0; 3 * CHUNK];
        content[CHUNK + 5] = 7;
        fs_err::write(&source, &content).unwrap();
        let mut file = ResolvedFile {
            name: "a".parse().unwrap(),
            origin: Origin::File(source.clone()),
            sha256: Some(Sha256Digest::of(&content)),
            size: Some(content.len() as u64),
        };
        let copied = copy(&source, &target, &file).unwrap();
        assert_eq!(copied.sha256, Sha256Digest::of(&content));
        assert_eq!(fs_err::read(&target).unwrap(), content);
        let metadata = fs_err::metadata(&target).unwrap();
        assert!(metadata.blocks() * 512 < 2 * CHUNK as u64, "{} blocks", metadata.blocks());

        file.size = Some(1);
        let error = copy(&source, &target, &file).unwrap_err();
        assert!(error.to_string().contains("a size of"), "{error}");
        file.size = None;
        file.sha256 = Some(Sha256Digest::of(b"other"));
        let error = copy(&source, &target, &file).unwrap_err();
        assert!(error.to_string().contains("the SHA-256"), "{error}");
    }
}
