//! Whether a snapshot was made here.
//!
//! A manifest names things of the host that it was made on: the files of drives that nobody writes to, and
//! TAPs. Here they are believed of a snapshot that this store made itself, and of no other. What
//! tells is a code over the manifest, in the file `origin` beside it, made with a key that never leaves the host: it
//! lies beside the store, not in it, so that no archive that is unpacked in the store brings its own.

use std::io::{self, Read, Write};
use std::path::Path;

use fs_err::os::unix::fs::OpenOptionsExt;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use super::files;
use super::name::SnapshotName;

/// What the code is of: no other code of this key can be taken for one of these.
const DOMAIN: &[u8] = b"smartvm snapshot origin 1\0";

/// The length of the key and of a code, in bytes.
const LENGTH: usize = 32;

/// The key of one store.
pub(super) struct OriginKey(hmac::Key);

impl OriginKey {
    /// The key of the store in `store`, if it has made a snapshot yet.
    pub(super) fn read(store: &Path) -> io::Result<Option<Self>> {
        match read_exactly(&path(store)) {
            Ok(bytes) => Ok(Some(Self::of(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The same; it is made when there is none. The store's lock is held meanwhile.
    pub(super) fn ensure(store: &Path) -> io::Result<Self> {
        if let Some(key) = Self::read(store)? {
            return Ok(key);
        }
        let mut bytes = [0; LENGTH];
        let drawn = SystemRandom::new().fill(&mut bytes);
        drawn.map_err(|_| io::Error::other("the system has no random numbers"))?;
        let path = path(store);
        let unfinished = path.with_extension("key.new");
        // Whatever a dead process left there is nobody's key yet.
        match fs_err::remove_file(&unfinished) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        let mut options = fs_err::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs_err::rename(unfinished, path)?;
        Ok(Self::of(&bytes))
    }

    /// Writes down that the snapshot in `dir` was made here.
    pub(super) fn mark(&self, dir: &Path, name: &SnapshotName, manifest: &[u8]) -> io::Result<()> {
        let path = dir.join(files::ORIGIN);
        fs_err::write(&path, hmac::sign(&self.0, &subject(name, manifest)))?;
        fs_err::File::open(path)?.sync_all()
    }

    /// Whether the snapshot in `dir` was made here, with this manifest under this name.
    pub(super) fn has_marked(&self, dir: &Path, name: &SnapshotName, manifest: &[u8]) -> bool {
        let Ok(code) = read_exactly(&dir.join(files::ORIGIN)) else { return false };
        hmac::verify(&self.0, &subject(name, manifest), &code).is_ok()
    }

    fn of(bytes: &[u8; LENGTH]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }
}

impl std::fmt::Debug for OriginKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OriginKey")
    }
}

/// Where the key of a store is.
fn path(store: &Path) -> std::path::PathBuf {
    store.with_extension("key")
}

/// A name has no zero, so no two subjects are the same bytes.
fn subject(name: &SnapshotName, manifest: &[u8]) -> Vec<u8> {
    [DOMAIN, name.as_str().as_bytes(), b"\0", manifest].concat()
}

/// Reads a file of exactly that length. It is opened as what a stranger may have put there.
fn read_exactly(path: &Path) -> io::Result<[u8; LENGTH]> {
    let file = super::own_file::open_plain(path)?;
    let mut bytes = Vec::with_capacity(LENGTH + 1);
    file.take(LENGTH as u64 + 1).read_to_end(&mut bytes)?;
    bytes.try_into().map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_name_and_manifest_say_that_a_snapshot_was_made_here() {
        let dir = tempfile::tempdir().unwrap();
        let (here, there) = (dir.path().join("here"), dir.path().join("there"));
        let (one, two): (SnapshotName, SnapshotName) =
            ("one".parse().unwrap(), "two".parse().unwrap());
        assert!(OriginKey::read(&here).unwrap().is_none());
        let key = OriginKey::ensure(&here).unwrap();
        key.mark(dir.path(), &one, b"manifest").unwrap();
        let again = OriginKey::read(&here).unwrap().unwrap();
        assert!(again.has_marked(dir.path(), &one, b"manifest"));
        assert!(!again.has_marked(dir.path(), &two, b"manifest"));
        assert!(!again.has_marked(dir.path(), &one, b"Manifest"));
        let other = OriginKey::ensure(&there).unwrap();
        assert!(!other.has_marked(dir.path(), &one, b"manifest"));
        fs_err::write(dir.path().join(files::ORIGIN), "short").unwrap();
        assert!(!again.has_marked(dir.path(), &one, b"manifest"));
    }
}
