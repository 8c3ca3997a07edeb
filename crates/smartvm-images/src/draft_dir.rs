//! A directory to make something in, beside the place where it is to appear.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock};
use smartvm_dir::PrivateDir;

use crate::live_drafts::{LiveDraft, publishing};

/// Between the name of what is made and what makes the draft's own unique.
const INFIX: &str = ".draft-";

/// A private directory beside `target`. It is locked while it is in use and removed when it is
/// dropped; what a killed process left is removed by whoever next makes one for the same target.
#[derive(Debug)]
pub(crate) struct DraftDir {
    dir: tempfile::TempDir,
    /// Known for as long as the directory is there.
    _live: LiveDraft,
    target: PathBuf,
    /// Holds the lock.
    _lock: fs_err::File,
}

impl DraftDir {
    pub(crate) fn beside(target: &Path) -> io::Result<Self> {
        let target = std::path::absolute(target)?;
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a name is missing"));
        };
        let mut prefix = OsString::from(".");
        prefix.push(name);
        prefix.push(INFIX);
        sweep(parent, |name| name.starts_with(prefix.as_encoded_bytes()))?;
        loop {
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            let mut builder = tempfile::Builder::new();
            let dir = builder.prefix(&prefix).permissions(private).tempdir_in(parent)?;
            // Somebody else's sweep may have come first: it took it for left behind.
            let Ok(lock) = fs_err::File::open(dir.path()) else { continue };
            flock(&lock, FlockOperation::LockExclusive)?;
            if dir.path().exists() {
                let live = LiveDraft::of(dir.path());
                return Ok(Self { dir, _live: live, target, _lock: lock });
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where the draft will be, absolute.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Lets the file `name` of the draft appear as the target, which must not exist.
    pub(crate) fn publish_file(self, name: &str) -> io::Result<()> {
        self.move_file(name, RenameFlags::NOREPLACE)
    }

    /// Lets the file `name` of the draft take the place of the target.
    pub(crate) fn replace_file(self, name: &str) -> io::Result<()> {
        self.move_file(name, RenameFlags::empty())
    }

    /// Lets the directory `name` of the draft appear as the target, which must not exist.
    pub(crate) fn publish_dir(self, name: &str) -> io::Result<()> {
        let made = self.dir.path().join(name);
        for entry in fs_err::read_dir(&made)? {
            fs_err::File::open(entry?.path())?.sync_all()?;
        }
        self.move_file(name, RenameFlags::NOREPLACE)
    }

    fn move_file(self, name: &str, flags: RenameFlags) -> io::Result<()> {
        let made = self.dir.path().join(name);
        fs_err::File::open(&made)?.sync_all()?;
        {
            // Dropping the draft needs what this holds.
            let _publishing = publishing();
            rustix::fs::renameat_with(CWD, &made, CWD, &self.target, flags)?;
        }
        match self.target.parent() {
            Some(parent) => fs_err::File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    }
}

/// Removes the drafts that dead processes left in a directory of ours, whatever they were to become. One that is not
/// there, or not ours alone, is left as it is.
///
/// # Errors
/// When the directory cannot be read.
pub fn sweep_drafts(dir: &Path) -> io::Result<()> {
    let infix = INFIX.as_bytes();
    let is_draft = |name: &[u8]| {
        name.starts_with(b".") && name.windows(infix.len()).any(|window| window == infix)
    };
    match PrivateDir::existing(dir) {
        Ok(Some(dir)) => sweep(dir.path(), is_draft),
        Ok(None) | Err(_) => Ok(()),
    }
}

/// Removes the drafts of dead processes.
fn sweep(parent: &Path, is_draft: impl Fn(&[u8]) -> bool) -> io::Result<()> {
    for entry in fs_err::read_dir(parent)? {
        let entry = entry?;
        if !is_draft(entry.file_name().as_encoded_bytes()) || !entry.file_type()?.is_dir() {
            continue;
        }
        // Removed meanwhile, or another user's: not ours to remove.
        let Ok(dir) = fs_err::File::open(entry.path()) else { continue };
        if flock(&dir, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        if let Err(error) = fs_err::remove_dir_all(entry.path()) {
            tracing::warn!(%error, "left the draft of a dead process behind");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("image");
        let draft = DraftDir::beside(&target).unwrap();
        fs_err::write(draft.path().join("made"), "content").unwrap();
        drop(draft);
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 0);

        let draft = DraftDir::beside(&target).unwrap();
        fs_err::write(draft.path().join("made"), "content").unwrap();
        draft.publish_file("made").unwrap();
        assert_eq!(fs_err::read_to_string(&target).unwrap(), "content");
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 1);

        let draft = DraftDir::beside(&target).unwrap();
        fs_err::write(draft.path().join("made"), "other").unwrap();
        let taken = draft.publish_file("made").unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs_err::read_to_string(&target).unwrap(), "content");
    }

    #[test]
    fn the_draft_of_a_dead_process_goes_and_that_of_a_living_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("image");
        let dead = dir.path().join(".image.draft-dead");
        let other = dir.path().join(".other.draft-x");
        fs_err::create_dir(&dead).unwrap();
        fs_err::create_dir(&other).unwrap();
        let living = DraftDir::beside(&target).unwrap();
        assert!(!dead.exists());
        fs_err::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .unwrap();
        sweep_drafts(dir.path()).unwrap();
        assert!(!other.exists(), "the next command of any kind removes it");
        fs_err::create_dir(&other).unwrap();
        let second = DraftDir::beside(&target).unwrap();
        assert!(living.path().exists() && second.path().exists() && other.exists());
    }
}
