//! What files looked like when their content was last found right.
//!
//! Hashing hundreds of megabytes at each start would take longer than the start. So a file that was
//! hashed is described by what the system says of it: device, inode, size, and the times of its last
//! change of content and of anything. Any write through the file system changes the last one, and no
//! call sets it. So does a further name of the file: who shares one with others mounts it instead of
//! linking it. It is no protection against root, a raw disk, or a clock that is turned back: who can do
//! that can write what the file is compared with, too.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::Sha256Digest;
use crate::atomic_file::write_atomically;
use crate::regular_file::read_regular;

/// A file that was changed this recently could be changed again without its time telling: the clock
/// of many file systems ticks every 4 to 10 ms.
const SETTLED: Duration = Duration::from_millis(20);

/// The largest record that is read.
const MAX_BYTES: u64 = 1 << 20;

/// A file as the system describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileStamp {
    /// The file at `path`, as it is now; links are followed.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn of(path: &Path) -> io::Result<Self> {
        fs_err::metadata(path).map(|found| Self::from(&found))
    }

    /// How many bytes it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Waits until a later change of the file would show, for 20 ms at most. Blocks.
    pub fn settle(&self) {
        while !self.is_settled() {
            std::thread::sleep(SETTLED / 8);
        }
    }

    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = u64::try_from(self.changed.0).unwrap_or_default();
        let nanoseconds = u32::try_from(self.changed.1).unwrap_or_default();
        now.checked_sub(Duration::new(seconds, nanoseconds)).is_some_and(|age| age > SETTLED)
    }
}

impl From<&Metadata> for FileStamp {
    fn from(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

/// The stamps of files, by name, each with the hash that was found then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VerifiedFiles(BTreeMap<String, (FileStamp, Sha256Digest)>);

impl VerifiedFiles {
    /// Those that the file `record` has. Without it, or when it cannot be read, nothing was verified yet.
    #[must_use]
    pub fn read(record: &Path) -> Self {
        let text = read_regular(record, MAX_BYTES).ok();
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Replaces the file `record`; whoever reads it meanwhile sees the old or the new one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, record: &Path) -> io::Result<()> {
        write_atomically(record, &serde_json::to_vec(self).map_err(io::Error::other)?)
    }

    /// Whether the file with this name was found to have this hash, and is as it was then.
    #[must_use]
    pub fn vouch_for(&self, name: &str, now: &FileStamp, expected: &Sha256Digest) -> bool {
        self.0.get(name).is_some_and(|(then, sha256)| then == now && sha256 == expected)
    }

    /// Takes note that the file has this hash, unless it was changed only just now. `stamp` is from before it was
    /// hashed: a change meanwhile then shows.
    pub fn note(&mut self, name: impl Into<String>, stamp: FileStamp, found: Sha256Digest) {
        if stamp.is_settled() {
            self.0.insert(name.into(), (stamp, found));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file and a record that vouches for it.
    fn verified(dir: &Path) -> (std::path::PathBuf, std::path::PathBuf, Sha256Digest) {
        let (path, record) = (dir.join("memory"), dir.join("verified.json"));
        fs_err::write(&path, "one").unwrap();
        let (stamp, digest) = (FileStamp::of(&path).unwrap(), Sha256Digest::of(b"one"));
        let mut files = VerifiedFiles::default();
        files.note("memory", stamp, digest);
        assert_eq!(files, VerifiedFiles::default(), "it was written only just now");
        stamp.settle();
        files.note("memory", stamp, digest);
        files.write(&record).unwrap();
        assert!(VerifiedFiles::read(&record).vouch_for("memory", &stamp, &digest));
        assert!(!VerifiedFiles::read(&record).vouch_for("other", &stamp, &digest));
        (path, record, digest)
    }

    #[test]
    fn any_write_makes_a_stamp_worthless() {
        let dir = tempfile::tempdir().unwrap();
        let (path, record, digest) = verified(dir.path());
        // The same size, and the old modification time put back.
        let then = fs_err::metadata(&path).unwrap().modified().unwrap();
        let before = FileStamp::of(&path).unwrap();
        fs_err::write(&path, "two").unwrap();
        let file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
        file.file().set_modified(then).unwrap();
        let changed = FileStamp::of(&path).unwrap();
        assert_eq!((changed.size, changed.modified), (before.size, before.modified));
        assert!(!VerifiedFiles::read(&record).vouch_for("memory", &changed, &digest));
    }

    #[test]
    fn a_record_that_cannot_be_read_vouches_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let record = dir.path().join("verified.json");
        assert_eq!(VerifiedFiles::read(&record), VerifiedFiles::default());
        fs_err::write(&record, "{").unwrap();
        assert_eq!(VerifiedFiles::read(&record), VerifiedFiles::default());
    }

    #[test]
    fn records_that_are_written_at_once_are_each_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (path, record, digest) = verified(dir.path());
        let stamp = FileStamp::of(&path).unwrap();
        std::thread::scope(|scope| {
            for length in [1, 4000] {
                let record = &record;
                scope.spawn(move || {
                    let mut files = VerifiedFiles::read(record);
                    files.note("x".repeat(length), stamp, digest);
                    (0..200).for_each(|_| files.write(record).unwrap());
                });
            }
            for _ in 0..2000 {
                assert!(VerifiedFiles::read(&record).vouch_for("memory", &stamp, &digest));
            }
        });
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 2);
    }
}
