//! What a file looked like when its content was last found right.
//!
//! Hashing hundreds of megabytes at each restore would take longer than the restore. So a file whose
//! content was hashed is described by what the system says of it: device, inode, size, and the times
//! of its last change of content and of anything. Any write through the file system changes the last
//! one, and no call sets it. It is no protection against root, against a raw disk, or against a clock
//! that is turned back: who can do that can write the manifest too.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::digest::Sha256Digest;
use super::files;

/// A file that was changed this recently could be changed again without its time telling: the clock
/// of many file systems ticks every 4 to 10 ms.
const SETTLED: Duration = Duration::from_millis(20);

/// The largest file of stamps that is read.
const MAX_BYTES: u64 = 1 << 20;

/// A file as the system described it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs_err::metadata(path)?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = u64::try_from(self.changed.0).unwrap_or_default();
        let nanoseconds = u32::try_from(self.changed.1).unwrap_or_default();
        now.checked_sub(Duration::new(seconds, nanoseconds)).is_some_and(|age| age > SETTLED)
    }
}

/// The stamps of a snapshot's files, each with the hash that was found then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Stamps(BTreeMap<String, (Stamp, Sha256Digest)>);

impl Stamps {
    /// The stamps in the snapshot `dir`. Without them, or when they cannot be read, nothing was
    /// verified yet.
    pub(super) fn read(dir: &Path) -> Self {
        let path = dir.join(files::VERIFIED);
        let small = fs_err::metadata(&path).is_ok_and(|file| file.len() <= MAX_BYTES);
        let text = small.then(|| fs_err::read(&path).ok()).flatten();
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Replaces the stamps of the snapshot `dir`.
    pub(super) fn write(&self, dir: &Path) -> io::Result<()> {
        let unfinished = dir.join("verified.json.new");
        fs_err::write(&unfinished, serde_json::to_vec(self).map_err(io::Error::other)?)?;
        fs_err::rename(unfinished, dir.join(files::VERIFIED))
    }

    /// Whether the file was found to have this hash and is as it was then.
    pub(super) fn vouch_for(&self, file: &str, now: &Stamp, expected: &Sha256Digest) -> bool {
        self.0.get(file).is_some_and(|(then, sha256)| then == now && sha256 == expected)
    }

    /// Takes note that the file has this hash, unless it was changed only just now.
    pub(super) fn note(&mut self, file: String, now: Stamp, found: Sha256Digest) {
        if now.is_settled() {
            self.0.insert(file, (now, found));
        }
    }
}

#[cfg(test)]
mod tests {
    use smartvm_testkit::eventually;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    #[test]
    fn any_write_makes_a_stamp_worthless() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("memory");
        fs_err::write(&path, "one").unwrap();
        let digest = Sha256Digest::of_file(&path).unwrap();
        let mut stamps = Stamps::default();
        stamps.note("memory".into(), Stamp::of(&path).unwrap(), digest.clone());
        assert_eq!(stamps, Stamps::default(), "it was written only just now");
        let stamp = Stamp::of(&path).unwrap();
        eventually(DEADLINE, "the file has rested", || stamp.is_settled().then_some(()));
        stamps.note("memory".into(), stamp, digest.clone());
        stamps.write(dir.path()).unwrap();
        let stamps = Stamps::read(dir.path());
        assert!(stamps.vouch_for("memory", &Stamp::of(&path).unwrap(), &digest));
        assert!(!stamps.vouch_for("other", &Stamp::of(&path).unwrap(), &digest));

        // The same size, and the old modification time put back.
        let then = fs_err::metadata(&path).unwrap().modified().unwrap();
        let before = Stamp::of(&path).unwrap();
        fs_err::write(&path, "two").unwrap();
        let file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
        file.file().set_modified(then).unwrap();
        let changed = Stamp::of(&path).unwrap();
        assert_eq!((changed.size, changed.modified), (before.size, before.modified));
        assert!(!stamps.vouch_for("memory", &changed, &digest));
    }

    #[test]
    fn stamps_that_cannot_be_read_vouch_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Stamps::read(dir.path()), Stamps::default());
        fs_err::write(dir.path().join(files::VERIFIED), "{").unwrap();
        assert_eq!(Stamps::read(dir.path()), Stamps::default());
    }
}
