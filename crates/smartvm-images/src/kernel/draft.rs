//! A kernel's directory while it is being filled, before it appears in the store.

use std::io::{self, Write};
use std::path::Path;

use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::{CWD, RenameFlags};

use super::store::DRAFT_PREFIX;
use crate::live_drafts::{LiveDraft, publishing};

/// A private directory inside the store. Dropped without [`Draft::publish`], it is removed.
#[derive(Debug)]
pub(super) struct Draft {
    dir: tempfile::TempDir,
    /// Known for as long as the directory is there.
    _live: LiveDraft,
}

impl Draft {
    pub(super) fn create(store: &Path) -> io::Result<Self> {
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        let dir =
            tempfile::Builder::new().prefix(DRAFT_PREFIX).permissions(private).tempdir_in(store)?;
        let live = LiveDraft::of(dir.path());
        Ok(Self { dir, _live: live })
    }

    /// Writes a file that only the owner can change, down to the disk. Others could read it, if the
    /// store let them in: a jailed VM, which is another user, is given it by a link.
    pub(super) fn write(&self, name: &str, contents: &[u8]) -> io::Result<()> {
        let path = self.dir.path().join(name);
        let mut file =
            fs_err::OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
        file.write_all(contents)?;
        file.sync_all()
    }

    /// Makes the directory appear as `target`, in place of what is there.
    pub(super) fn publish(self, target: &Path) -> io::Result<()> {
        sync_directory(self.dir.path())?;
        let rename = |flags| rustix::fs::renameat_with(CWD, self.dir.path(), CWD, target, flags);
        // Let go each time: dropping the draft needs what it holds.
        let rename = |flags| {
            let _publishing = publishing();
            rename(flags)
        };
        match rename(RenameFlags::NOREPLACE) {
            Ok(()) => {
                // Moved away: there is nothing left to remove under the old name.
                let _ = self.dir.keep();
            }
            // The old kernel now has the draft's name and goes with it.
            Err(rustix::io::Errno::EXIST) => rename(RenameFlags::EXCHANGE)?,
            Err(error) => return Err(error.into()),
        }
        target.parent().map_or(Ok(()), sync_directory)
    }
}

fn sync_directory(dir: &Path) -> io::Result<()> {
    fs_err::File::open(dir)?.sync_all()
}
